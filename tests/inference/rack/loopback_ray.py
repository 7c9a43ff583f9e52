"""The command `ray` for nodes that share the loopback interface.

What keeps Ray on that interface also makes `ray start` refuse to join other nodes.
"""

from __future__ import annotations

from ray._private import ray_constants
from ray.scripts.scripts import main

if __name__ == "__main__":
    ray_constants.ENABLE_RAY_CLUSTER = True
    main()
