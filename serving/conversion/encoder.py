"""The whole way from a sentence encoder's folder to the folder that `onnx_embeddings` loads."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from serving.conversion.encoder_check import worst_cosine
from serving.conversion.encoder_graph import Checkpoint, export_fp32, load_checkpoint
from serving.conversion.graph import Graph
from serving.conversion.manifest import GRAPH_FILE, EncoderManifest, write_manifest
from serving.conversion.outliers import TEXTS, channel_maxima, part_outliers
from serving.conversion.per_row_int8 import quantize_products
from serving.conversion.step_graph import halve_embedding
from serving.errors import ConfigError
from serving.sentence_encoder import read_sentence_encoder
from serving.text_ids import TextEncoder

OUTPUT_NAME = "onnx"  # below the checkpoint's folder
CONVERTERS = ("onnx", "onnxscript", "transformers", "torch")
DATA_TYPES = ("int8", "float32")  # in the order in which they are tried
# The least cosine between a text's vector and the checkpoint's own. Int8 costs a few thousandths.
LEAST_COSINE = {"int8": 0.99, "float32": 0.9999}


@dataclass(frozen=True, slots=True)
class EncoderDeviation:
    """How near the converted encoder is to its checkpoint."""

    data_type: str
    worst_cosine: float

    def __str__(self) -> str:
        return (
            f"{self.data_type}, cosine to the checkpoint's vectors {self.worst_cosine:.4f} or more"
        )


@dataclass(frozen=True, slots=True)
class ConvertedEncoder:
    """The folder that was made, and how near it is to the checkpoint."""

    folder: Path
    deviation: EncoderDeviation


def convert_encoder(
    model_dir: Path,
    output: Path | None = None,
    *,
    data_type: str | None = None,
    trust_remote_code: bool = False,
) -> ConvertedEncoder:
    """Converts the checkpoint; the output folder is replaced only when all went well.

    `data_type` is int8 or float32; None: int8 where its vectors stay near enough to the
    checkpoint's, else float32. Raises ConfigError for a checkpoint that cannot be converted, and
    for one whose graph does not give its vectors.
    """
    target = output or model_dir / OUTPUT_NAME
    target.parent.mkdir(parents=True, exist_ok=True)
    encoder = read_sentence_encoder(model_dir)
    checkpoint = load_checkpoint(model_dir, trust_remote_code=trust_remote_code)
    texts = TextEncoder(
        model_dir,
        checkpoint.vocab_size,
        lower_case=encoder.lower_case,
        trust_remote_code=trust_remote_code,
    )
    with tempfile.TemporaryDirectory(prefix=".convert-", dir=target.parent) as name:
        graph = EncoderGraph(checkpoint, texts, Path(name))
        check = partial(worst_cosine, checkpoint, encoder, texts)
        made, deviation = _best(graph, check, (data_type,) if data_type else DATA_TYPES)
        if target.exists():
            shutil.rmtree(target)
        made.rename(target)
    return ConvertedEncoder(target, deviation)


def _best(
    graph: EncoderGraph, check: Callable[[Path], float], data_types: Sequence[str]
) -> tuple[Path, EncoderDeviation]:
    """The first of these data types whose vectors are near enough to the checkpoint's."""
    for data_type in data_types:
        made = graph.write(data_type)
        deviation = EncoderDeviation(data_type, check(made))
        if deviation.worst_cosine >= LEAST_COSINE[data_type]:
            return made, deviation
    raise ConfigError(
        f"the graph does not give its checkpoint's vectors ({deviation}); choose another data "
        "type or another engine for this model"
    )


class EncoderGraph:
    """A checkpoint's graph in fp32, and what is made of it; all in one work folder."""

    def __init__(self, checkpoint: Checkpoint, texts: TextEncoder, work: Path) -> None:
        self._checkpoint = checkpoint
        self._texts = texts
        self._work = work
        self._fp32 = work / "fp32" / GRAPH_FILE
        self._fp32.parent.mkdir()
        export_fp32(checkpoint, self._fp32)

    def write(self, data_type: str) -> Path:
        """A new folder with the graph in this data type, and its manifest."""
        folder = self._work / data_type
        folder.mkdir()
        with Graph(self._fp32, folder) as graph:
            if data_type == "int8":
                self._quantize(graph)
            graph.save()
        write_manifest(folder, self._manifest(folder, data_type))
        return folder

    def _quantize(self, graph: Graph) -> None:
        limit = self._checkpoint.max_model_len
        texts = [ids[:limit] for ids in self._texts.encode(TEXTS)]
        part_outliers(graph, channel_maxima(self._fp32, texts))
        quantize_products(graph)
        halve_embedding(graph)

    def _manifest(self, folder: Path, data_type: str) -> EncoderManifest:
        return EncoderManifest(
            model_type=self._checkpoint.model_type,
            hidden_size=self._checkpoint.hidden_size,
            vocab_size=self._checkpoint.vocab_size,
            pad_token_id=self._checkpoint.pad_token_id,
            max_model_len=self._checkpoint.max_model_len,
            data_type=data_type,
            files={path.name: path.stat().st_size for path in sorted(folder.iterdir())},
            made_with={name: version(name) for name in CONVERTERS},
        )
