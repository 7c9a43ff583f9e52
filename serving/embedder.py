"""The second seam: what an engine that embeds promises, and the table of those we ship.

An embedder turns texts into vectors, and is to `serving.engine.Engine` a brother: it generates
nothing, streams nothing and remembers nothing. Like it, it knows nothing of HTTP or Ray; adding one
touches its own file and one line of EMBEDDERS, and a user's own is named as `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from serving.types import Occupancy

EMBEDDERS = {"onnx_embeddings": "serving.engines.onnx_embedder:OnnxEmbedder"}

Text = str | tuple[int, ...]
"""A text, or its token ids, which are taken as they are: no special tokens are added to them."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts whose vectors belong into one answer."""

    inputs: tuple[Text, ...]
    dimensions: int | None = None  # None: as many as the model has
    truncate_to: int | None = None  # tokens; what is longer loses its end. None: it is refused


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What became of a request's texts, in their order."""

    vectors: Vectors  # [texts, dimensions]
    num_tokens: tuple[int, ...]  # of each text, as the model read it
    queue_s: float = 0.0  # time the request waited inside the engine before a text of it ran


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """Everything an embedder may need to know to load one model; handed down whole."""

    model_source: Path  # a local folder: fetching from a hub happens above
    data_type: str = "auto"  # of weights and products; auto: whatever the folder holds
    max_num_seqs: int = 8  # texts embedded together (the deployment's batch_size)
    max_model_len: int | None = None  # tokens of one text; None: what the model was made for
    num_threads: int = 1
    trust_remote_code: bool = False
    engine_kwargs: Mapping[str, Any] = field(default_factory=dict)  # checked by the embedder


class Embedder(Protocol):
    """One loaded model. All methods are called on one event loop and must not block it."""

    max_model_len: int  # tokens of one text; valid after load()
    dimension: int  # of a vector that is not cut; valid after load()

    def __init__(self, settings: EmbedderSettings) -> None:
        """Check the settings (ConfigError names the wrong one); load nothing yet."""

    async def load(self) -> None:
        """Return when ready to serve. Raises ConfigError with the fix when it cannot be."""

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The vectors; cancelling this cancels what has not begun of it.

        A text's vector depends on nothing but the text, beyond the rounding of floats. Several
        requests share the model in turns: one of many texts does not keep another waiting for all
        of them. Raises InvalidRequest before any text is embedded: ContextTooLong for one that is
        longer than `max_model_len`, UnsupportedField where the model's vectors cannot be cut to
        `dimensions`. Raises EngineDead at any time.
        """

    def occupancy(self) -> Occupancy:
        """How many texts are embedded and wait at this moment; cheap."""

    async def check_health(self) -> None:
        """Raise EngineDead if requests can no longer be served."""

    async def unload(self) -> None:
        """Cancel what runs and free the memory before returning; safe to call twice."""


def embeds(engine: object) -> TypeGuard[Embedder]:
    """Whether this engine, or class of engines, embeds rather than generates."""
    return hasattr(engine, "embed")
