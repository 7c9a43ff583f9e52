"""OpenVINO GenAI's continuous batching, in a process of its own.

Its `step()` holds Python's interpreter lock while the model computes; beside an event loop, no
health check and no token of another answer would leave meanwhile. The process also gives back all
its memory when it ends, and if the library crashes, only the engine dies.

Over its connection `main` reads an Opening and answers Opened or a sentence. Then it takes lists of
Add and Stop, and sends a list of Read for each step that brought tokens, until the other side ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Which model, and how much of it at once."""

    folder: str
    num_threads: int
    num_kv_blocks: int
    max_num_seqs: int
    max_num_batched_tokens: int  # prompt tokens and decoded ones of a step
    enable_prefix_caching: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """The model can be asked."""

    kv_block_bytes: int


@dataclass(frozen=True, slots=True)
class Add:
    """A sequence to run; `sampling` holds attributes of OpenVINO's GenerationConfig."""

    key: int
    token_ids: tuple[int, ...]
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stop:
    """A sequence nobody reads any more."""

    key: int


@dataclass(frozen=True, slots=True)
class Read:
    """What a step brought to one sequence."""

    key: int
    token_ids: tuple[int, ...]


# Keys and values in 8 bits: OpenVINO's own default on CPUs, said so that it is sure.
KV_CACHE_PRECISION = "u8"


class Worker:
    """The pipeline, and the handles of what runs in it."""

    def __init__(self, connection: Connection, opening: Opening) -> None:
        import openvino_genai

        self._genai: Any = openvino_genai
        self._connection = connection
        self._pipeline: Any = openvino_genai.ContinuousBatchingPipeline(
            opening.folder,
            _scheduler_config(openvino_genai, opening),
            "CPU",
            {
                "INFERENCE_NUM_THREADS": opening.num_threads,
                "KV_CACHE_PRECISION": KV_CACHE_PRECISION,
            },
        )
        self._handles: dict[int, Any] = {}

    def warm_up(self) -> int:
        """Run a token through, which also makes the KV cache; its bytes."""
        self._obey(Add(0, (0,), {"max_new_tokens": 1, "ignore_eos": True}))
        while not self._idle:
            self._pipeline.step()
        self._handles.clear()
        return int(self._pipeline.get_metrics().kv_cache_size_in_bytes)

    def run(self) -> None:
        """Step while there is something to do; raises EOFError when the other side has gone."""
        while True:
            while self._connection.poll(None if self._idle else 0):
                for command in self._connection.recv():
                    self._obey(command)
            self._pipeline.step()
            if reads := self._reads():
                self._connection.send(reads)

    @property
    def _idle(self) -> bool:
        return not self._pipeline.has_non_finished_requests()

    def _obey(self, command: Add | Stop) -> None:
        if isinstance(command, Add):
            self._add(command)
        elif (handle := self._handles.pop(command.key, None)) is not None:
            handle.stop()

    def _add(self, command: Add) -> None:
        import numpy as np
        from openvino import Tensor

        config = self._genai.GenerationConfig()
        config.apply_chat_template = False
        for name, value in command.sampling.items():
            setattr(config, name, value)
        token_ids = Tensor(np.array([command.token_ids], np.int64))
        self._handles[command.key] = self._pipeline.add_request(command.key, token_ids, config)

    def _reads(self) -> list[Read]:
        none = self._genai.GenerationFinishReason.NONE
        found = []
        for key, handle in list(self._handles.items()):
            token_ids: list[int] = []
            while handle.can_read():
                for output in handle.read().values():
                    token_ids += output.generated_ids
                    if output.finish_reason != none:
                        self._handles.pop(key, None)
            if token_ids:
                found.append(Read(key, tuple(token_ids)))
        return found


def _scheduler_config(genai: Any, opening: Opening) -> Any:
    config = genai.SchedulerConfig()
    config.cache_size = 0  # the number of blocks says it
    config.num_kv_blocks = opening.num_kv_blocks
    config.max_num_seqs = opening.max_num_seqs
    config.max_num_batched_tokens = opening.max_num_batched_tokens
    config.dynamic_split_fuse = True  # prompts in chunks, beside decoding
    config.enable_prefix_caching = opening.enable_prefix_caching
    return config


def main(connection: Connection) -> None:
    """Run for `serving.worker_process`."""
    try:
        opening: Opening = connection.recv()
        worker = Worker(connection, opening)
        connection.send(Opened(worker.warm_up() // opening.num_kv_blocks))
    except Exception as error:  # OpenVINO's errors share no base class
        connection.send(_reason(error))
        return
    try:
        worker.run()
    except (EOFError, ConnectionError):
        return  # nobody is left to work for


def _reason(error: Exception) -> str:
    """The line of OpenVINO's several that says most: the last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
