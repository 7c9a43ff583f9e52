"""Which engine a CPU replica runs: by the name it was given, and by the model in the folder."""

from __future__ import annotations

from pathlib import Path

from serving.embedder import EMBEDDERS
from serving.engine import ENGINES
from serving.sentence_encoder import is_sentence_encoder

KNOWN = ENGINES | EMBEDDERS
# A library that runs both kinds of models is asked for by one name.
EMBEDS_AS = {"onnx": "onnx_embeddings"}


def actual_engine(name: str, folder: Path) -> str:
    """The engine that `name` stands for where this is the model."""
    if name in EMBEDS_AS and is_sentence_encoder(folder):
        return EMBEDS_AS[name]
    return name
