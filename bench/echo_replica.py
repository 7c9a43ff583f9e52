"""One echo replica without Ray or a proxy.

python -m bench.echo_replica PORT TOKENS_PER_S [FIRST_TOKEN_MS]
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uvicorn

from serving.engines.echo import EchoEngine
from serving.http import FaceSettings, ReplicaFace
from serving.http.auth import ApiKeys
from serving.types import EngineSettings

MOST_STREAMS = 5000


async def main(port: int, tokens_per_s: float, first_token_ms: float = 0.0) -> None:
    pace = {"tokens_per_s": tokens_per_s, "first_token_ms": first_token_ms}
    engine = EchoEngine(EngineSettings(Path(), max_num_seqs=MOST_STREAMS, engine_kwargs=pace))
    await engine.load()
    settings = FaceSettings(model_id="echo", max_num_seqs=MOST_STREAMS)
    face = ReplicaFace(settings, engine, "echo", keys=ApiKeys())
    face.ready()
    config = uvicorn.Config(
        face.asgi_app(), port=port, log_level="warning", backlog=2 * MOST_STREAMS
    )
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *map(float, sys.argv[2:])))
