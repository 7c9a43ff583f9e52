"""Embeddings on the CPU: a converted sentence encoder in ONNX Runtime, batched on one thread.

It loads the folder that `anynode convert` writes beside a checkpoint (`onnx/`), and needs neither
torch nor a GPU. Options (`engine_kwargs`): `pooling` and `normalize`, for a checkpoint that does
not say, or not what the operator wants; `max_batch_tokens`, how much one call of the model holds,
padding included: more embeds hardly faster, and lets whoever comes next wait longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from serving.conversion.manifest import converted_folder
from serving.embedder import EmbedderSettings, Embeddings, EmbedRequest, Vectors
from serving.embedding_queue import BatchLimits
from serving.embedding_thread import EmbeddingThread, TextIds
from serving.engine import nearest
from serving.engines.onnx_encoder import OnnxEncoder
from serving.errors import ConfigError, EngineDead
from serving.pooling import POOLINGS, finish
from serving.sentence_encoder import SentenceEncoder, read_sentence_encoder
from serving.text_ids import TextEncoder, check_lengths
from serving.types import Occupancy

DATA_TYPES = ("auto", "float32", "int8")
MAX_BATCH_TOKENS = 1024
LONG_INPUT_CHARACTERS = 4096  # more are tokenised off the event loop: over a millisecond
OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "pooling": (lambda given: given in POOLINGS, f"one of {', '.join(sorted(POOLINGS))}"),
    "normalize": (lambda given: isinstance(given, bool), "true or false"),
    "max_batch_tokens": (lambda given: type(given) is int and given > 0, "a positive number"),
}


class OnnxEmbedder:
    """One converted sentence encoder."""

    def __init__(self, settings: EmbedderSettings) -> None:
        check_settings(settings)
        self.max_model_len = 0
        self.dimension = 0
        self._settings = settings
        self._model: LoadedModel | None = None
        self._thread: EmbeddingThread | None = None

    async def load(self) -> None:
        """See Embedder."""
        model = self._model = await asyncio.to_thread(LoadedModel, self._settings)
        self.max_model_len = model.max_model_len
        self.dimension = model.dimension
        limits = BatchLimits(
            self._settings.max_num_seqs,
            self._settings.engine_kwargs.get("max_batch_tokens", MAX_BATCH_TOKENS),
        )
        self._thread = EmbeddingThread(model.embed_batch, limits)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See Embedder."""
        model, thread = self._running()
        dimensions = model.dimensions(request.dimensions)
        if sum(map(len, request.inputs)) > LONG_INPUT_CHARACTERS:
            texts = await asyncio.to_thread(model.token_ids, request)
        else:
            texts = model.token_ids(request)
        pooled, queue_s = await thread.embed(texts)
        vectors = finish(pooled, dimensions, normalize=model.encoder.normalize)
        return Embeddings(vectors, tuple(map(len, texts)), queue_s)

    def occupancy(self) -> Occupancy:
        """See Embedder."""
        return Occupancy() if self._thread is None else self._thread.occupancy()

    async def check_health(self) -> None:
        """See Embedder."""
        self._running()[1].check()

    async def unload(self) -> None:
        """See Embedder."""
        if self._thread is not None:
            await self._thread.stop()
        self._model = self._thread = None

    def _running(self) -> tuple[LoadedModel, EmbeddingThread]:
        if self._model is None or self._thread is None:
            raise EngineDead("the engine is not loaded")
        return self._model, self._thread


class LoadedModel:
    """The graph, the tokenizer and what the folder says of the vectors; loading blocks."""

    def __init__(self, settings: EmbedderSettings) -> None:
        """Raises ConfigError for a folder, or a setting, that cannot work."""
        self.encoder = _encoder(settings)
        self._graph = OnnxEncoder(
            converted_folder(settings.model_source, "onnx"), settings.num_threads
        )
        manifest = self._graph.manifest
        _check_data_type(settings, manifest.data_type)
        self._texts = TextEncoder(
            settings.model_source,
            manifest.vocab_size,
            lower_case=self.encoder.lower_case,
            trust_remote_code=settings.trust_remote_code,
        )
        own = min(manifest.max_model_len, self.encoder.max_tokens or self._texts.max_tokens)
        self.max_model_len = _max_model_len(settings.max_model_len, own, manifest.max_model_len)
        self.dimension = self.encoder.dimensions or manifest.hidden_size
        self._pool = POOLINGS[self.encoder.pooling]

    def dimensions(self, wanted: int | None) -> int:
        """How many an answer's vectors have; raises InvalidRequest."""
        if wanted is None:
            return self.dimension
        self.encoder.check_dimensions(wanted, self._graph.manifest.hidden_size)
        return wanted

    def token_ids(self, request: EmbedRequest) -> list[list[int]]:
        """Of every input, none longer than the model reads; raises InvalidRequest."""
        texts = self._texts.encode(request.inputs)
        if request.truncate_to is not None:
            limit = request.truncate_to
            given = zip(request.inputs, texts, strict=True)
            texts = [self._texts.truncate(text, ids, limit) for text, ids in given]
        check_lengths(texts, self.max_model_len)
        return texts

    def embed_batch(self, texts: Sequence[TextIds]) -> Vectors:
        """The texts' vectors before they are cut and normalised; blocks."""
        return self._pool(*self._graph.read(texts))


def check_settings(settings: EmbedderSettings) -> None:
    """Raise ConfigError for the first setting that cannot work with any model."""
    if settings.data_type not in DATA_TYPES:
        raise ConfigError(
            f"data_type: embeddings run in int8 or float32, not {settings.data_type}; leave it out "
            "to take what the model was converted to",
            param="data_type",
        )
    for key, value in settings.engine_kwargs.items():
        if key not in OPTIONS:
            raise ConfigError(
                f"engine_kwargs: onnx_embeddings has no option '{key}'"
                f"{nearest(key, list(OPTIONS))}; its options are {', '.join(OPTIONS)}",
                param="engine_kwargs",
            )
        fits, wanted = OPTIONS[key]
        if not fits(value):
            raise ConfigError(
                f"engine_kwargs: {key} must be {wanted}, not {value!r}", param="engine_kwargs"
            )


def _encoder(settings: EmbedderSettings) -> SentenceEncoder:
    """What the folder says, and the operator's own words over it."""
    said = read_sentence_encoder(settings.model_source)
    kwargs = settings.engine_kwargs
    return replace(
        said,
        pooling=kwargs.get("pooling", said.pooling),
        normalize=kwargs.get("normalize", said.normalize),
    )


def _check_data_type(settings: EmbedderSettings, converted: str) -> None:
    if settings.data_type not in ("auto", converted):
        raise ConfigError(
            f"data_type: {settings.model_source} was converted to {converted}; leave data_type "
            f"out, or convert it anew: anynode convert {settings.model_source} "
            f"--data-type {settings.data_type}",
            param="data_type",
        )


def _max_model_len(wanted: int | None, own: int, possible: int) -> int:
    """Tokens of one text: what the model was trained with, unless the operator says otherwise."""
    if wanted is None:
        return own
    if wanted > possible:
        raise ConfigError(
            f"max_model_len: {wanted} is more than this model has positions for; set it to "
            f"{possible} at most",
            param="max_model_len",
        )
    return wanted
