"""`anynode serve` of a sentence encoder: a real Ray Serve, the real proxy, the official client."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import numpy as np
import openai
import pytest

from tests.contract.embedder_contract import EXPECTED, TEXTS, TINY_ENCODER
from tests.inference.running import Running, answering, wait_until

MODEL = TINY_ENCODER.name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The encoder, with no word said but its folder."""
    home = tmp_path_factory.mktemp("home")
    with answering(str(TINY_ENCODER), "--num-threads", "1", home=home) as running:
        yield running


def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="unused", max_retries=0)


@pytest.mark.parametrize("encoding", [{}, {"encoding_format": "float"}])
def test_it_embeds(server: Running, encoding: dict[str, str]) -> None:
    with client(server) as made:
        answer = made.embeddings.create(model=MODEL, input=list(TEXTS), **encoding)  # type: ignore[arg-type]
        [model] = made.models.list()
    got = np.array([item.embedding for item in answer.data])
    assert np.sum(got * np.stack(list(EXPECTED.values())), axis=1).min() > 0.99
    assert (model.id, answer.model) == (MODEL, MODEL)
    assert answer.usage.prompt_tokens > len(TEXTS)


def test_it_says_what_it_is(server: Running) -> None:
    health = server.health()
    assert (health["status"], health["engine"]) == ("ready", "onnx_embeddings")
    chat = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    refused = httpx.post(f"{server.url}/v1/chat/completions", json=chat)
    assert refused.status_code == 404
    assert "embeds texts and generates none" in refused.json()["error"]["message"]


def test_a_client_that_leaves_frees_its_place(server: Running) -> None:
    body = {"model": MODEL, "input": ["the cat sat on the mat, and what is that"] * 2048}
    content = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/embeddings HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(content), content)
        )
        wait_until(lambda: server.health()["running"] == 1)
    wait_until(lambda: server.health()["running"] == 0)


def test_what_it_prints_works_as_it_is_pasted(server: Running) -> None:
    [shell] = re.findall(r"^From a shell:\n\n(.+?')$", server.output, re.MULTILINE | re.DOTALL)
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["data"][0]["object"] == "embedding"
    [program] = re.findall(r"^from openai .+?embedding\)$", server.output, re.MULTILINE | re.DOTALL)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)) == 64
