"""The engine and its clients in a process of their own, without any HTTP: the tax's baseline."""

from __future__ import annotations

import asyncio
import multiprocessing
from types import TracebackType
from typing import Any

from bench import in_process
from inference.bench.plan import RunPlan
from inference.bench.report.model import RunReport
from serving.engines.onnx import OnnxEngine
from serving.types import EngineSettings


class EngineAlone:
    """Carries out plans as `runner.run` does; the process ends with the context."""

    def __init__(self, settings: EngineSettings) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(settings, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it is loaded

    def __enter__(self) -> EngineAlone:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pipe.close()
        self._process.join()

    def run(self, plan: RunPlan) -> RunReport:
        self._pipe.send(plan)
        report: RunReport = self._pipe.recv()
        return report


def _work(settings: EngineSettings, pipe: Any) -> None:
    asyncio.run(_answer(settings, pipe))


async def _answer(settings: EngineSettings, pipe: Any) -> None:
    engine = OnnxEngine(settings)
    await engine.load()
    pipe.send("loaded")
    try:
        while True:
            plan = await asyncio.to_thread(pipe.recv)
            pipe.send(await in_process.run(in_process.engine_send(engine), plan))
    except EOFError:
        await engine.unload()
