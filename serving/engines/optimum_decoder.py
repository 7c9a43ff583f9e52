"""`StepModel` over ORTModelForCausalLM: one sequence at a time, its keys and values in a tuple."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from optimum.onnxruntime import ORTModelForCausalLM

from serving.errors import ConfigError
from serving.kv_budget import model_len
from serving.memory import check_memory
from serving.model_shape import read_config
from serving.step_model import Logits, TokenIds

GRAPH_FILE = "model.onnx"
LIMITS = ("max_position_embeddings", "n_positions", "seq_length")  # as architectures call them
NUM_ROWS = 2  # one that is used, and the one that every StepModel has to spare


class OptimumDecoder:
    """A converted model in a folder, as `anynode convert --engine optimum` writes it."""

    def __init__(
        self, folder: Path, *, max_model_len: int | None, num_threads: int, trust_remote_code: bool
    ) -> None:
        """Loads the weights; raises ConfigError for a folder or a setting that cannot work."""
        check_folder(folder)
        config = read_config(folder)
        limit = next((config[name] for name in LIMITS if config.get(name)), None)
        self.num_rows = NUM_ROWS
        self.max_model_len = model_len(limit, max_model_len)
        check_memory(folder, sum(path.stat().st_size for path in folder.glob("model.onnx*")))
        self._model: Any = _load(folder, num_threads, trust_remote_code)
        self._pasts: dict[int, Any] = {}
        self.vocab_size = self.prefill(0, np.zeros(1, np.int64), 0, all_logits=False).shape[1]
        self.kv_bytes_per_token = sum(
            tensor.numel() * tensor.element_size() for layer in self._pasts[0] for tensor in layer
        )
        self.release_row(0)

    def prefill(self, row: int, token_ids: TokenIds, start: int, *, all_logits: bool) -> Logits:
        """See StepModel."""
        past = self._pasts.get(row) if start else None
        ids = torch.from_numpy(token_ids)[None]
        with torch.inference_mode():
            output = self._model(
                input_ids=ids,
                attention_mask=torch.ones(1, start + len(token_ids), dtype=torch.int64),
                past_key_values=past,
                use_cache=True,
            )
        self._pasts[row] = output.past_key_values
        logits: Logits = output.logits[0].float().numpy()
        return logits if all_logits else logits[-1:]

    def decode(self, token_ids: TokenIds, lengths: TokenIds) -> Logits:
        """See StepModel; of one row."""
        assert len(token_ids) == 1, "rows read together would change each other's answers"
        return self.prefill(0, token_ids, int(lengths[0]), all_logits=True)

    def move_row(self, source: int, target: int, length: int) -> None:
        self._pasts[target] = self._pasts[source]  # nobody writes to them: a call makes new ones

    def release_row(self, row: int) -> None:
        self._pasts.pop(row, None)

    def close(self) -> None:
        """Frees weights and KV memory; logits given out before stay valid."""
        self._model = None
        self._pasts.clear()


def check_folder(folder: Path) -> None:
    """Raises ConfigError where nothing was converted."""
    if not (folder / GRAPH_FILE).is_file():
        raise ConfigError(
            f"model_name: {folder} holds no {GRAPH_FILE}; in the optimum engine's environment, run "
            f"`anynode convert {folder.parent} --engine optimum`",
            param="model_name",
        )


def _load(folder: Path, num_threads: int, trust_remote_code: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    options.log_severity_level = 4  # errors reach us as exceptions
    try:
        return ORTModelForCausalLM.from_pretrained(
            folder,
            file_name=GRAPH_FILE,
            provider="CPUExecutionProvider",
            session_options=options,
            trust_remote_code=trust_remote_code,
            local_files_only=True,
        )
    except Exception as error:  # ONNX Runtime's errors share no base class
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"model_name: Optimum cannot load {folder} ({reason}); run "
            f"`anynode convert {folder.parent} --engine optimum` again",
            param="model_name",
        ) from error
