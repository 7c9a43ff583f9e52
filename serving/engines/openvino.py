"""OpenVINO on the CPU: Intel's engine, which runs on any x86 CPU and needs no torch.

It loads the folder that `anynode convert --engine openvino` writes beside a checkpoint, or a model
folder that is itself such a conversion, as those of the OpenVINO organisation on the Hugging Face
Hub are.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from serving.batched_engine import BatchedEngine
from serving.conversion.manifest import conversion_command, converted_folder, read_manifest
from serving.engines.openvino_batcher import BLOCK_TOKENS, OpenVINOBatcher, num_blocks
from serving.engines.openvino_worker import Opened, Opening
from serving.errors import ConfigError
from serving.kv_budget import kv_budget, model_len
from serving.memory import available_bytes, check_memory
from serving.model_shape import ModelShape, read_config, read_shape
from serving.types import EngineSettings
from serving.worker_process import WorkerProcess

WORKER = "serving.engines.openvino_worker"
MODEL_FILE = "openvino_model.xml"
WEIGHTS_FILE = "openvino_model.bin"
DATA_TYPES = ("auto", "int8", "int4")
# A step reads this many tokens at most, so prompts are read beside decoding in pieces of this size.
MAX_NUM_BATCHED_TOKENS = 256
OPTIONS = {"enable_prefix_caching": True, "max_num_batched_tokens": MAX_NUM_BATCHED_TOKENS}
CAPABILITIES = frozenset(
    {"chat", "sampling", "penalties", "stop_token_ids", "min_tokens", "ignore_eos"}
)


class OpenVINOEngine(BatchedEngine):
    """One converted checkpoint in OpenVINO GenAI."""

    capabilities = CAPABILITIES

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the openvino engine runs {' or '.join(DATA_TYPES[1:])}, not "
                f"{settings.data_type}; set data_type: int8",
                param="data_type",
            )
        self._options = checked_options(settings.engine_kwargs)
        self._worker: WorkerProcess | None = None

    def open_batcher(self) -> OpenVINOBatcher:
        if importlib.util.find_spec("openvino_genai") is None:
            raise ConfigError(
                "engine: openvino needs the Python module 'openvino_genai', which is not installed "
                "here; pip install openvino-genai",
                param="engine",
            )
        settings = self.settings
        folder = find_model(settings.model_source, settings.data_type)
        shape, vocab_size = dimensions(folder)
        self.max_model_len = model_len(shape.max_model_len, settings.max_model_len)
        check_memory(folder, (folder / WEIGHTS_FILE).stat().st_size)
        tokenizer = self.open_tokenizer(vocab_size)
        opening = Opening(
            folder=str(folder),
            num_threads=settings.num_threads,
            num_kv_blocks=self._num_kv_blocks(shape),
            max_num_seqs=settings.max_num_seqs,
            **self._options,
        )
        self._worker = WorkerProcess(WORKER)
        return OpenVINOBatcher(
            self._worker,
            tokenizer,
            vocab_size=vocab_size,
            max_model_len=self.max_model_len,
            max_num_seqs=settings.max_num_seqs,
            num_kv_blocks=opening.num_kv_blocks,
            kv_block_bytes=_open(self._worker, opening).kv_block_bytes,
        )

    def close(self) -> None:
        if self._worker is not None:
            self._worker.close()
        self._worker = None

    def _num_kv_blocks(self, shape: ModelShape) -> int:
        settings = self.settings
        block_bytes = kv_block_bytes(shape)
        wanted = settings.max_num_seqs * num_blocks(self.max_model_len) * block_bytes
        return max(1, kv_budget(wanted, settings.kv_cache_bytes, available_bytes()) // block_bytes)


def checked_options(engine_kwargs: Any) -> dict[str, Any]:
    """Our defaults with what the operator set; raises ConfigError naming what is wrong."""
    for key, value in engine_kwargs.items():
        if key not in OPTIONS:
            raise ConfigError(
                f"engine_kwargs: the openvino engine has no option '{key}'; it has "
                f"{' and '.join(OPTIONS)}",
                param="engine_kwargs",
            )
        if type(value) is not type(OPTIONS[key]) or (type(value) is int and value < BLOCK_TOKENS):
            kind = "true or false" if isinstance(OPTIONS[key], bool) else "a number from 32 on"
            raise ConfigError(
                f"engine_kwargs: {key} is {kind}, not {value!r}", param="engine_kwargs"
            )
    return {**OPTIONS, **engine_kwargs}


def find_model(model_source: Path, data_type: str) -> Path:
    """The folder of the model's own files; raises ConfigError, with the way out, where none is."""
    if (model_source / MODEL_FILE).is_file():
        return model_source
    folder = converted_folder(model_source, "openvino", data_type)
    read_manifest(folder)
    return folder


def dimensions(folder: Path) -> tuple[ModelShape, int]:
    """The model's shape and the size of its vocabulary, by its config."""
    shape, config = read_shape(folder), read_config(folder)
    vocab_size = config.get("vocab_size")
    if shape is None or not isinstance(vocab_size, int):
        raise ConfigError(
            f"model_name: {folder / 'config.json'} does not say the model's layers, heads and "
            "vocabulary, so it is no text decoder that the openvino engine serves; choose another "
            "engine for it",
            param="model_name",
        )
    return shape, vocab_size


def kv_block_bytes(shape: ModelShape) -> int:
    """Of a block of all layers, in 8 bits with float32 scales and zero points.

    Keys have those for each channel of a block, values for each token.
    """
    keys = shape.head_dim * (BLOCK_TOKENS + 8)
    values = BLOCK_TOKENS * (shape.head_dim + 8)
    return shape.num_layers * shape.num_kv_heads * (keys + values)


def _open(worker: WorkerProcess, opening: Opening) -> Opened:
    worker.send(opening)
    told = worker.receive()
    if isinstance(told, Opened):
        return told
    raise ConfigError(
        f"model_name: OpenVINO cannot load {opening.folder} ({told}); run "
        f"`{conversion_command(Path(opening.folder))}`",
        param="model_name",
    )
