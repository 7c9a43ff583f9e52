"""Which engine a CPU replica runs: by the name it was given, and by the model in the folder."""

from __future__ import annotations

from pathlib import Path

from serving.embedder import EMBEDDERS
from serving.engine import ENGINES
from serving.sentence_encoder import is_sentence_encoder

KNOWN = ENGINES | EMBEDDERS
EMBEDDER = "onnx_embeddings"
# A library that runs both kinds of models is asked for by one name.
EMBEDS_TOO = frozenset({"onnx"})


def actual_engine(name: str, folder: Path, *, named: bool = True) -> str:
    """The engine that `name` stands for where this is the model; or the one that fits the model,
    where nobody named one and `name` is only what the device calls for.
    """
    if (name in EMBEDS_TOO or not named) and is_sentence_encoder(folder):
        return EMBEDDER
    return name
