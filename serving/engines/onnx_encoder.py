"""A converted encoder, run by ONNX Runtime on the CPU: token ids in, hidden states out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from serving.conversion.manifest import read_encoder_manifest
from serving.engines.onnx_session import open_session
from serving.pooling import Hidden, Lengths

INPUTS = ("input_ids", "attention_mask")
OUTPUT = "last_hidden_state"


class OnnxEncoder:
    """A model in a folder, as `serving.conversion.encoder` writes it."""

    def __init__(self, folder: Path, num_threads: int) -> None:
        """Loads the weights; raises ConfigError for a folder that cannot work."""
        self.manifest = read_encoder_manifest(folder)
        self._session: Any = open_session(folder, self.manifest.files, num_threads)

    def read(self, texts: Sequence[Sequence[int]]) -> tuple[Hidden, Lengths]:
        """Hidden states [B, T, H] of the texts, padded behind their ends, and lengths [B]; blocks.

        What a text's own positions hold does not depend on the padding, beyond rounding.
        """
        lengths = np.array([len(ids) for ids in texts], np.int64)
        shape = (len(texts), int(lengths.max()))
        ids = np.full(shape, self.manifest.pad_token_id, np.int64)
        for row, text in zip(ids, texts, strict=True):
            row[: len(text)] = text
        mask = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
        feed = dict(zip(INPUTS, (ids, mask), strict=True))
        hidden: Hidden = self._session.run([OUTPUT], feed)[0]
        return hidden, lengths
