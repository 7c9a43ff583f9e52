"""The whole way from a sentence encoder's folder to the folder that `onnx_embeddings` loads."""

from __future__ import annotations

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
from serving.conversion.request import Converted, Request
from serving.conversion.step_graph import halve_embedding
from serving.conversion.workplace import Progress, Workplace, identity, workplace
from serving.errors import ConfigError
from serving.sentence_encoder import read_sentence_encoder
from serving.text_ids import TextEncoder

MADE_WITH = ("onnx", "onnxscript", "transformers", "torch")
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

    def different_answers(self) -> list[str]:
        """An encoder gives none."""
        return []


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. `auto` is int8 where its vectors stay near enough to the checkpoint's."""
    made_of = identity(request.model_dir, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        deviation = None if place is None else _make(request, place)
    return Converted(request.target, deviation)


def _make(request: Request, place: Workplace) -> EncoderDeviation:
    encoder = read_sentence_encoder(request.model_dir)
    trust = request.trust_remote_code
    place.say("reading the checkpoint")
    checkpoint = load_checkpoint(request.model_dir, trust_remote_code=trust)
    texts = TextEncoder(
        request.model_dir,
        checkpoint.vocab_size,
        lower_case=encoder.lower_case,
        trust_remote_code=trust,
    )
    fp32 = place.stage("fp32 graph", lambda folder: export_fp32(checkpoint, folder / GRAPH_FILE))
    graph = EncoderGraph(checkpoint, texts, fp32 / GRAPH_FILE, place)
    check = partial(worst_cosine, checkpoint, encoder, texts)
    data_types = DATA_TYPES if request.data_type == "auto" else (request.data_type,)
    made, deviation = _best(graph, check, data_types)
    place.publish(made)
    return deviation


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
    """A checkpoint's graph in fp32, and what is made of it."""

    def __init__(
        self, checkpoint: Checkpoint, texts: TextEncoder, fp32: Path, place: Workplace
    ) -> None:
        self._checkpoint = checkpoint
        self._texts = texts
        self._fp32 = fp32
        self._place = place

    def write(self, data_type: str) -> Path:
        """A new folder with the graph in this data type, and its manifest."""
        return self._place.stage(data_type, partial(self._fill, data_type))

    def _fill(self, data_type: str, folder: Path) -> None:
        with Graph(self._fp32, folder) as graph:
            if data_type == "int8":
                self._quantize(graph)
            graph.save()
        write_manifest(folder, self._manifest(folder, data_type))

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
            made_with={name: version(name) for name in MADE_WITH},
        )
