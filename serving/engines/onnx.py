"""The default engine: ONNX Runtime on the CPU, with our own continuous batching.

It loads the folder that `anynode convert` writes beside a checkpoint (`onnx/`), and needs neither
torch nor a GPU.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from serving.conversion.manifest import VERIFY_SIZES, conversion_command, converted_folder
from serving.engine import nearest
from serving.errors import ConfigError
from serving.step_model import StepModel
from serving.stepped_engine import SteppedEngine
from serving.types import EngineSettings

logger = logging.getLogger(__name__)

PREFIX_CACHING = "enable_prefix_caching"
NUM_SPECULATIVE_TOKENS = "num_speculative_tokens"
MOST_SPECULATIVE_TOKENS = VERIFY_SIZES[-1] - 1  # the model's own next token takes a place too
OWN_KERNELS = "own_kernels"
OPTIONS = {
    PREFIX_CACHING: True,
    NUM_SPECULATIVE_TOKENS: MOST_SPECULATIVE_TOKENS,
    OWN_KERNELS: True,
}
DATA_TYPES = ("auto", "int8", "int4")  # auto: the finest that has been converted


class OnnxEngine(SteppedEngine):
    """One converted checkpoint in ONNX Runtime."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the onnx engine runs int8 or int4, not {settings.data_type}; set "
                "data_type: int8",
                param="data_type",
            )
        options = checked_options(settings.engine_kwargs)
        self.prefix_caching = options[PREFIX_CACHING]
        self.num_speculative_tokens = options[NUM_SPECULATIVE_TOKENS]
        self._own_kernels = options[OWN_KERNELS]

    def open_model(self) -> StepModel:
        from serving.engines.onnx_decoder import OnnxDecoder

        folder = converted_folder(self.settings.model_source, "onnx", self.settings.data_type)
        decoder = OnnxDecoder(
            folder,
            num_rows=self.settings.max_num_seqs + 1,
            max_model_len=self.settings.max_model_len,
            num_threads=self.settings.num_threads,
            own_kernels=self._own_kernels,
        )
        logger.info("%s is multiplied by kernels of %s", folder, decoder.kernels)
        if not decoder.verify_sizes:
            self.no_drafts = (
                f"{folder} was converted by an earlier version, or its model has parts whose drafts"
                f" cannot be verified to the bit; to find out, run `{conversion_command(folder)}`"
            )
        return decoder


def checked_options(engine_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Our defaults with what the operator set; raises ConfigError naming what is wrong."""
    for key, value in engine_kwargs.items():
        if key not in OPTIONS:
            raise ConfigError(
                f"engine_kwargs: the onnx engine has no option '{key}'"
                f"{nearest(key, list(OPTIONS))}; it has {', '.join(OPTIONS)}",
                param="engine_kwargs",
            )
        if type(value) is not type(OPTIONS[key]) or not 0 <= value <= MOST_SPECULATIVE_TOKENS:
            kind = (
                f"a number from 0 (off) to {MOST_SPECULATIVE_TOKENS}"
                if key == NUM_SPECULATIVE_TOKENS
                else "true or false"
            )
            raise ConfigError(
                f"engine_kwargs: {key} is {kind}, not {value!r}", param="engine_kwargs"
            )
    return {**OPTIONS, **engine_kwargs}
