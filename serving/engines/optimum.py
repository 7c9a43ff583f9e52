"""Optimum's ONNX Runtime model, one request at a time: a reference to measure others against.

Its int8 graphs have one scale for all activations of a product, so that rows read together change
each other's answers: therefore nothing is ever read together here, and every prompt is read in the
same pieces. It loads the folder that `anynode convert --engine optimum` writes beside a
checkpoint (`optimum/`), tokenizer and all.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from serving.errors import ConfigError
from serving.step_model import StepModel
from serving.stepped_engine import SteppedEngine
from serving.types import EngineSettings

logger = logging.getLogger(__name__)

GRAPH_FOLDER = "optimum"  # of the model folder
DATA_TYPES = ("int8", "auto")  # auto: whatever the graph holds, which is int8


class OptimumEngine(SteppedEngine):
    """One checkpoint, converted by Optimum."""

    def __init__(self, settings: EngineSettings) -> None:
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the optimum engine runs int8, not {settings.data_type}; "
                "set data_type: int8",
                param="data_type",
            )
        for key in settings.engine_kwargs:
            raise ConfigError(
                f"engine_kwargs: the optimum engine has no option '{key}'; leave it out",
                param="engine_kwargs",
            )
        folder = settings.model_source / GRAPH_FOLDER
        super().__init__(replace(settings, model_source=folder, max_num_seqs=1))

    def open_model(self) -> StepModel:
        from serving.engines.optimum_decoder import OptimumDecoder

        logger.info("the optimum engine decodes one sequence at a time, whatever batch_size says")
        return OptimumDecoder(
            self.settings.model_source,
            max_model_len=self.settings.max_model_len,
            num_threads=self.settings.num_threads,
            trust_remote_code=self.settings.trust_remote_code,
        )
