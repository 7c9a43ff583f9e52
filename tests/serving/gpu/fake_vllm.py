"""An app like vLLM's and an engine like the adapter's, for tests where vLLM is not installed.

As vLLM's, its models take any field and ignore it, its errors have vLLM's shape, and it stops its
work when the client leaves. A prompt of `slow` is answered only then; one of `dead` kills it.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from serving.errors import EngineDead


class CompletionRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompt: Any = None
    n: int | None = 1
    stream: bool = False
    stream_interval: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None


class TokenizeRequest(BaseModel):
    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompt: str


class FakeEngine:
    """Stands where a VLLMEngine does."""

    max_model_len = 100
    parses_chat = False

    def __init__(self) -> None:
        self.app = app(self)
        self.dead = False
        self.asked: list[CompletionRequest] = []
        self.num_stopped = 0
        self.unloaded = 0

    @property
    def routes(self) -> list[Any]:
        return list(self.app.routes)

    async def check_health(self) -> None:
        if self.dead:
            raise EngineDead("vLLM's engine process has died.")

    async def unload(self) -> None:
        self.unloaded += 1


def vllm_error(status: int, message: str, param: str | None = None) -> JSONResponse:
    error = {"message": message, "type": "BadRequestError", "param": param, "code": status}
    return JSONResponse({"error": error}, status)


def app(engine: FakeEngine) -> FastAPI:
    made = FastAPI()

    @made.post("/v1/completions")
    async def completions(asked: CompletionRequest, request: Request) -> Any:
        engine.asked.append(asked)
        assert request.headers["content-type"] == "application/json"
        if asked.prompt == "dead":
            engine.dead = True
            return vllm_error(500, "EngineCore encountered an issue.")
        if asked.max_tokens and asked.max_tokens > engine.max_model_len:
            return vllm_error(400, "max_tokens=999 cannot be greater than max_model_len=100.")
        if asked.stream:
            return StreamingResponse(events(engine, asked), media_type="text/event-stream")
        if asked.prompt == "slow":
            await wait_for_leaving(engine, request)
            return None
        choices = [{"index": index, "text": " three"} for index in range(asked.n or 1)]
        return {"choices": choices}

    @made.post("/tokenize")
    async def tokenize(asked: TokenizeRequest) -> dict[str, int]:
        return {"count": len(asked.prompt.split())}

    @made.post("/scale_elastic_ep")
    async def scale(asked: TokenizeRequest) -> None:
        raise AssertionError("callers must not reach it")

    return made


async def events(engine: FakeEngine, asked: CompletionRequest) -> Any:
    try:
        for text in (" three", " four"):
            event = {"choices": [{"index": 0, "text": text}]}
            yield f"data: {json.dumps(event)}\n\n"
        if asked.prompt == "slow":
            await asyncio.Event().wait()
        yield "data: [DONE]\n\n"
    except asyncio.CancelledError:
        engine.num_stopped += 1
        raise


async def wait_for_leaving(engine: FakeEngine, request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    engine.num_stopped += 1
