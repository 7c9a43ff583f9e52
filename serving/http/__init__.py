"""One replica's HTTP face: OpenAI's protocol, older shapes, admission, health and metrics.

Read in the order of a request: `app` (routes) → `errors`, `auth` (middleware) → `generation` (one
request from body to answer) → `chat`, `completions`, `legacy` (what the routes understand and
how they word the answer) → `job` (admission, time limit, engine) → `streaming` or `collect`.
Knows nothing of Ray, and of engines only the seam.
"""

from serving.http.face import ReplicaFace
from serving.http.settings import FaceSettings

__all__ = ["FaceSettings", "ReplicaFace"]
