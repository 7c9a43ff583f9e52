"""Plain PyTorch, for any model that AutoModelForCausalLM loads from a checkpoint's folder.

Nothing is converted. Most architectures decode all their sequences in one call of the model;
state-space models and others with a memory of their own are decoded one sequence after another,
which the log says when the model is loaded.
"""

from __future__ import annotations

from serving.errors import ConfigError
from serving.memory import give_back
from serving.model_len import model_len
from serving.step_model import StepModel
from serving.stepped_engine import SteppedEngine
from serving.types import EngineSettings

DATA_TYPES = ("auto", "bfloat16", "float16", "float32", "int8", "int4")  # auto: as it is stored


class TransformersEngine(SteppedEngine):
    """One checkpoint in PyTorch, on the CPU."""

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        if settings.data_type not in DATA_TYPES:
            raise ConfigError(
                f"data_type: the transformers engine has no {settings.data_type}; choose one of "
                f"{', '.join(DATA_TYPES)}",
                param="data_type",
            )
        for key in settings.engine_kwargs:
            raise ConfigError(
                f"engine_kwargs: the transformers engine has no option '{key}'; leave it out",
                param="engine_kwargs",
            )

    def open_model(self) -> StepModel:
        import torch

        from serving.engines.transformers_choice import open_decoder
        from serving.engines.transformers_weights import load_model

        settings = self.settings
        torch.set_num_threads(settings.num_threads)
        model = load_model(
            settings.model_source,
            settings.data_type,
            trust_remote_code=settings.trust_remote_code,
        )
        length = model_len(model.max_model_len, settings.max_model_len)
        return open_decoder(model, settings.max_num_seqs + 1, length)

    def close(self) -> None:
        super().close()
        give_back()
