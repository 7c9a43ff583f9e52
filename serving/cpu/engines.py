"""Which engine a CPU replica runs: by the name it was given, and by the model in the folder."""

from __future__ import annotations

from pathlib import Path

from serving.cpu.auto_engine import is_installed
from serving.embedder import EMBEDDERS
from serving.engine import ENGINES
from serving.sentence_encoder import is_sentence_encoder

KNOWN = ENGINES | EMBEDDERS
EMBEDDER = "onnx_embeddings"
IPEX_LLM = "ipex_llm"
# What INTEL calls for, and what stands for it in an image that was built to hold IPEX-LLM: nobody
# has that library unasked.
INTEL_ENGINE = "openvino"
WHY = {EMBEDDER: "the model embeds texts", IPEX_LLM: "IPEX-LLM is in this image"}
# A library that runs both kinds of models is asked for by one name.
EMBEDS_TOO = frozenset({"onnx"})


def actual_engine(name: str, folder: Path, *, named: bool = True) -> str:
    """The engine that `name` stands for where this is the model; or the one that fits the model
    and the image, where nobody named one and `name` is only what the device calls for.

    WHY says why it is another one.
    """
    if (name in EMBEDS_TOO or not named) and is_sentence_encoder(folder):
        return EMBEDDER
    if not named and name == INTEL_ENGINE and is_installed(IPEX_LLM):
        return IPEX_LLM
    return name
