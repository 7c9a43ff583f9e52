"""A replica in a process of its own: `python -m tests.vllm.server MODEL NAME <VLLMSettings JSON>`.

Prints its port when it answers, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys

import uvicorn

from serving.errors import ConfigError
from serving.gpu.deployment import GPUSettings, start
from serving.gpu.vllm_app import VLLMFace
from serving.gpu.vllm_settings import VLLMSettings
from serving.gpu.vllm_startup import StartupLog
from serving.gpu.vllm_stat_loggers import token_gaps_to
from serving.http.settings import FaceSettings
from serving.model_source import fetch_model
from tests.vllm.served import MAX_QUEUED_REQUESTS


async def serve(model: str, served: str, settings: VLLMSettings) -> None:
    face_settings = FaceSettings(
        model_id=served,
        other_names=tuple(settings.lora_adapters),
        max_num_seqs=settings.max_num_seqs,
        max_queued_requests=MAX_QUEUED_REQUESTS,
        request_timeout_s=float(os.environ.get("REQUEST_TIMEOUT_S", "60")),
    )
    told = GPUSettings(model_name=model, face=face_settings, vllm=settings, wanted=None)
    folder = fetch_model(model)
    startup = StartupLog(folder)
    try:
        face = VLLMFace(face_settings, max_input_len=settings.max_input_len)
        engine = await start(told, folder, startup, [token_gaps_to(face.pace.hear)])
    finally:
        startup.close()
    try:
        face.ready(engine)
        # No logging of uvicorn's own: setting it up would close the handlers that vLLM has.
        config = uvicorn.Config(
            face.asgi_app(), log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # who hears of the port may come before uvicorn is ready
        asyncio.get_running_loop().add_reader(sys.stdin, lambda: stop(server))
        print(f"port {listener.getsockname()[1]}", flush=True)
        await server.serve(sockets=[listener])
    finally:
        await engine.unload()


def stop(server: uvicorn.Server) -> None:
    asyncio.get_running_loop().remove_reader(sys.stdin)
    server.should_exit = True


def main(model: str, served: str, settings: str) -> None:
    try:
        asyncio.run(serve(model, served, VLLMSettings(**json.loads(settings))))
    except ConfigError as error:
        print(f"refused {error.message}", flush=True)
        sys.exit(2)


if __name__ == "__main__":
    main(*sys.argv[1:])
