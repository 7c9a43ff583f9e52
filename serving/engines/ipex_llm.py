"""IPEX-LLM's low-bit models on CPUs, for those who ask for them: the library is archived.

What it loads is made of a checkpoint at the first start, or by `anynode convert --engine ipex-llm`,
and kept beside the checkpoint's files.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from serving.errors import ConfigError
from serving.kv_budget import model_len
from serving.step_model import StepModel
from serving.stepped_engine import SteppedEngine
from serving.types import EngineSettings

logger = logging.getLogger(__name__)

DATA_TYPES = ("int8", "int4", "auto")  # auto: as the checkpoint was converted, or int8
WARNING = (
    "IPEX-LLM is archived: its authors say it has security issues that nobody mends. It decodes 8 "
    "answers about 10 times and reads prompts about 30 times slower than engine: openvino does"
)


class IpexLlmEngine(SteppedEngine):
    """One checkpoint, converted by IPEX-LLM."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._checkpoint = settings.model_source
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the ipex_llm engine has no {settings.data_type}; choose one of "
                f"{', '.join(DATA_TYPES)}",
                param="data_type",
            )
        for key in settings.engine_kwargs:
            raise ConfigError(
                f"engine_kwargs: the ipex_llm engine has no option '{key}'; leave it out",
                param="engine_kwargs",
            )

    def open_model(self) -> StepModel:
        import torch

        logger.warning(WARNING)
        torch.set_num_threads(self.settings.num_threads)
        self._find_weights()
        from serving.engines.ipex_llm_model import load

        settings = self.settings
        model = load(
            settings.model_source,
            trust_remote_code=settings.trust_remote_code,
            num_threads=settings.num_threads,
        )
        from serving.engines.ipex_llm_decoder import open_decoder  # its library is loaded by now

        length = model_len(model.max_model_len, settings.max_model_len)
        return open_decoder(model, settings.max_num_seqs + 1, length)

    def _find_weights(self) -> None:
        """Let `model_source` be the converted folder, which also holds the tokenizer."""
        from serving.conversion.to_ipex_llm import ensure_converted

        folder = ensure_converted(
            self._checkpoint,
            self.settings.data_type,
            trust_remote_code=self.settings.trust_remote_code,
        )
        self.settings = replace(self.settings, model_source=folder)
