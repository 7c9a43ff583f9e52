"""A checkpoint's encoder as an fp32 ONNX graph: token ids and mask in, last hidden states out.

torch traces the model as transformers has it, so whatever encoder transformers knows can be tried.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from serving.engines.onnx_encoder import INPUTS, OUTPUT
from serving.errors import ConfigError

OPSET = 22  # the first with all that our int8 products need is 21
# Where positions are counted from the padding token's number on, and so many fewer remain.
OFFSET_POSITIONS = frozenset({"camembert", "mpnet", "roberta", "xlm-roberta"})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model in torch, with what its config says."""

    model: Any
    model_type: str
    hidden_size: int
    vocab_size: int
    pad_token_id: int
    max_model_len: int

    def read(self, token_ids: list[int]) -> Any:
        """Hidden states float32 [1, T, H] of one text."""
        torch: Any = importlib.import_module("torch")
        with torch.no_grad():
            ids = torch.tensor([token_ids])
            answer = self.model(input_ids=ids, attention_mask=torch.ones_like(ids))
        return answer.last_hidden_state.numpy()


def load_checkpoint(model_dir: Path, *, trust_remote_code: bool = False) -> Checkpoint:
    """In fp32; raises ConfigError where transformers cannot load it."""
    from transformers import AutoModel

    torch: Any = importlib.import_module("torch")
    try:
        model = AutoModel.from_pretrained(
            str(model_dir),
            dtype=torch.float32,
            attn_implementation="eager",  # makes the plainest graph, which is also the fastest
            local_files_only=True,
            trust_remote_code=trust_remote_code,
        ).eval()
    except Exception as error:  # whatever a checkpoint's files make transformers raise
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"{model_dir} cannot be loaded by transformers ({reason})") from error
    config = model.config
    config.use_cache = False  # of a decoder: its keys and values are read once
    pad_token_id = int(config.pad_token_id or 0)
    skipped = pad_token_id + 1 if config.model_type in OFFSET_POSITIONS else 0
    return Checkpoint(
        model=model,
        model_type=config.model_type,
        hidden_size=config.hidden_size,
        vocab_size=config.vocab_size,
        pad_token_id=pad_token_id,
        max_model_len=config.max_position_embeddings - skipped,
    )


def export_fp32(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the graph, its weights beside it; ConfigError for a model torch cannot trace."""
    torch: Any = importlib.import_module("torch")

    class LastHiddenState(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self) -> None:
            super().__init__()
            self.model = checkpoint.model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    ids = torch.ones(2, 16, dtype=torch.int64)
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                LastHiddenState().eval(),
                (ids, mask),
                path,
                input_names=INPUTS,
                output_names=[OUTPUT],
                dynamic_shapes=({0: batch, 1: length},) * 2,
                opset_version=OPSET,
                external_data=True,
                dynamo=True,
                verbose=False,
            )
        _forget_sources(path)
    except Exception as error:  # torch's exporter wraps whatever went wrong
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"the {checkpoint.model_type} encoder could not be turned into an ONNX graph "
            f"({reason}); choose another engine for this model"
        ) from error


def _forget_sources(path: Path) -> None:
    """Takes out what torch notes of every node: half of a small graph, and paths of ours."""
    model = onnx.load(path, load_external_data=False)
    noted = [model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer]
    noted += [*model.graph.input, *model.graph.output]
    for each in noted:
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    onnx.save(model, path)
