"""POST /v1/embeddings: what it understands and how it answers.

OpenAI's fields, and vLLM's `truncate_prompt_tokens` beside them: a longer text is cut to so many
tokens, or with -1 to as many as the model reads; without it a text too long is refused.
Token ids are taken as they are: special tokens are the caller's to add.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
import numpy as np
from pydantic import AfterValidator, Field
from starlette.responses import Response

from serving.embedder import Embeddings, EmbedRequest, Text, Vectors
from serving.errors import InvalidRequest
from serving.http.offer import Offer
from serving.http.prompts import as_texts
from serving.http.refusals import EMBEDDINGS_REFUSED
from serving.http.strict import Refused, StrictBody

AS_LONG_AS_POSSIBLE = -1  # vLLM's word for it
EncodingFormat = Literal["float", "base64"]


def _not_nothing(tokens: int) -> int:
    if tokens == 0:
        raise ValueError("no token at all cannot be embedded")
    return tokens


class EmbeddingsBody(StrictBody):
    """The fields of the request."""

    refused: ClassVar[Refused] = EMBEDDINGS_REFUSED

    model: str
    input: Any
    encoding_format: EncodingFormat = "float"
    dimensions: Annotated[int, Field(ge=1)] | None = None
    truncate_prompt_tokens: (
        Annotated[int, Field(ge=AS_LONG_AS_POSSIBLE), AfterValidator(_not_nothing)] | None
    ) = None
    user: str | None = None


def understand_embeddings(
    given: dict[str, Any], offer: Offer, max_model_len: int
) -> tuple[EmbedRequest, EmbeddingsAnswer]:
    """The work and the shape of the answer; raises InvalidRequest and its kind."""
    body = EmbeddingsBody.parse(given)
    inputs: tuple[Text, ...] = as_texts(body.input, offer.settings.max_inputs, "input")
    offer.check_model(body.model)
    limit = _truncation(body.truncate_prompt_tokens, max_model_len)
    request = EmbedRequest(inputs, dimensions=body.dimensions, truncate_to=limit)
    return request, EmbeddingsAnswer(body.encoding_format, offer.settings.model_id)


def _truncation(given: int | None, max_model_len: int) -> int | None:
    if given is None:
        return None
    if given > max_model_len:
        raise InvalidRequest(
            f"truncate_prompt_tokens: {given} is more than this model reads, which is "
            f"{max_model_len}.",
            param="truncate_prompt_tokens",
        )
    return max_model_len if given == AS_LONG_AS_POSSIBLE else given


class EmbeddingsAnswer:
    """The list object of one answer."""

    def __init__(self, encoding_format: EncodingFormat, model: str) -> None:
        self._encoded = as_base64 if encoding_format == "base64" else as_floats
        self._model = model

    def response(self, embeddings: Embeddings, usage: Mapping[str, int]) -> Response:
        """The whole answer. Thousands of numbers: an encoder in C writes them."""
        data = [
            {"object": "embedding", "index": index, "embedding": embedding}
            for index, embedding in enumerate(self._encoded(embeddings.vectors))
        ]
        answer = {"object": "list", "data": data, "model": self._model, "usage": usage}
        return Response(msgspec.json.encode(answer), media_type="application/json")


def as_floats(vectors: Vectors) -> list[list[float]]:
    """Each vector as numbers."""
    numbers: list[list[float]] = vectors.tolist()
    return numbers


def as_base64(vectors: Vectors) -> list[str]:
    """Each vector as the bytes of its float32 numbers, least significant first."""
    little = np.ascontiguousarray(vectors, "<f4")
    return [base64.b64encode(vector).decode() for vector in little]
