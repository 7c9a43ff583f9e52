"""An engine of its own for embeddings: the last token's hidden state, as a unit vector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch

from tests.vllm.conftest import replica
from tests.vllm.reference import Reference
from tests.vllm.served import MAX_INPUT_LEN, MODEL, Served

TEXTS = ["What is the capital of France?", "Hello", "one two three four five six seven"]


@pytest.fixture(scope="module")
def embedder() -> Iterator[Served]:
    kwargs = {"enforce_eager": True, "runner": "pooling", "convert": "embed"}
    with replica(engine_kwargs=kwargs) as running:
        yield running


@pytest.fixture
def client(embedder: Served) -> Iterator[openai.OpenAI]:
    with embedder.client() as made:
        yield made


def embed(client: openai.OpenAI, texts: str | list[str], **body: Any) -> np.ndarray:
    """float64 [number of texts, hidden size], in the order of their indices."""
    answer = client.embeddings.create(model=MODEL, input=texts, **body)
    assert [item.index for item in answer.data] == list(range(len(answer.data)))
    return np.array([item.embedding for item in answer.data])


def test_they_are_the_references_last_hidden_states(client: openai.OpenAI) -> None:
    reference = Reference()
    vectors = embed(client, TEXTS)
    assert vectors.shape == (len(TEXTS), reference.model.config.hidden_size)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    for text, vector in zip(TEXTS, vectors, strict=True):
        expected = torch.nn.functional.normalize(reference.last_hidden_state(text), dim=0)
        assert vector @ expected.numpy() > 0.999
    assert (vectors @ vectors.T)[~np.eye(len(TEXTS), dtype=bool)].max() < 0.99, "no two alike"


def test_both_encodings_hold_the_same_numbers(client: openai.OpenAI) -> None:
    as_numbers = embed(client, TEXTS, encoding_format="float")
    packed = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="base64")
    assert all(isinstance(item.embedding, str) for item in packed.data)
    np.testing.assert_allclose(embed(client, TEXTS), as_numbers, atol=1e-6)


def test_several_keep_their_order(client: openai.OpenAI) -> None:
    together = embed(client, TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        assert embed(client, text)[0] @ vector > 0.999


def test_prompts_are_limited_here_too(client: openai.OpenAI) -> None:
    assert embed(client, [[5] * MAX_INPUT_LEN]).shape[0] == 1
    for too_long in ("one " * 300, [5] * (MAX_INPUT_LEN + 1), ["one", "one " * 300]):
        with pytest.raises(openai.BadRequestError) as caught:
            embed(client, too_long)
        assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


def test_routes_that_cannot_count_name_one_that_can(embedder: Served) -> None:
    error = embedder.post("/v1/score", text_1="one", text_2="two").json()["error"]
    assert error["message"].endswith("(max_input_len); use /v1/embeddings.")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}),
        ("/v1/completions", {"prompt": "Hello"}),
        ("/generate", {"prompt": "Hello"}),
        ("/", {"prompt": "Hello"}),
    ],
)
def test_routes_that_need_a_generating_model_say_so(embedder: Served, path, body) -> None:
    answer = embedder.post(path, **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_route")


def test_only_what_it_serves_is_listed(embedder: Served) -> None:
    routes = httpx.get(embedder.url).json()["routes"]
    assert "POST /v1/embeddings" in routes
    assert not {"POST /v1/chat/completions", "POST /v1/completions", "POST /generate"} & set(routes)
