from __future__ import annotations

import hashlib

import httpx
import openai
import pytest

from serving.errors import ConfigError
from serving.http.auth import ApiKeys
from tests.serving.http.live import live


def keys(**environment: str) -> ApiKeys:
    return ApiKeys.from_environment(environment)


def test_no_key_configured_lets_everybody_in():
    assert not keys()


def test_several_keys_in_the_environment():
    several = keys(ANYNODE_API_KEY="one, two")
    assert several.accept(b"one")
    assert several.accept(b"two")
    assert not several.accept(b"one, two")
    assert not several.accept(b"")


def test_a_file_of_keys(tmp_path):
    digest = hashlib.sha256(b"hashed").hexdigest()
    file = tmp_path / "keys"
    file.write_text(f"# team a\nplain  # alice\n\nsha256:{digest}\n")
    both = keys(ANYNODE_API_KEY_FILE=str(file), ANYNODE_API_KEY="third")
    for key in (b"plain", b"hashed", b"third"):
        assert both.accept(key)
    assert not both.accept(f"sha256:{digest}".encode())
    assert not both.accept(b"# team a")


@pytest.mark.parametrize("content", ["", "# nothing\n", "sha256:abc\n", "sha256:zz\n", b"\xff\xfe"])
def test_a_file_without_usable_keys_never_opens_the_door(tmp_path, content):
    file = tmp_path / "keys"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError):
        keys(ANYNODE_API_KEY_FILE=str(file))


def test_neither_does_a_missing_file_or_an_empty_variable(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        keys(ANYNODE_API_KEY_FILE=str(tmp_path / "missing"))
    for empty in ("", " ", ","):
        with pytest.raises(ConfigError, match="holds no key"):
            keys(ANYNODE_API_KEY=empty)


def test_keys_are_not_kept():
    assert "topsecret" not in repr(vars(keys(ANYNODE_API_KEY="topsecret")))


@pytest.fixture(scope="module")
def guarded():
    with live(keys=keys(ANYNODE_API_KEY="right,other")) as replica:
        yield replica


@pytest.mark.parametrize("path", ["/", "/v1/models", "/metrics", "/no/such/route"])
def test_what_needs_a_key(guarded, path):
    answer = httpx.get(guarded.url + path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "invalid_api_key"


@pytest.mark.parametrize("path", ["/health", "/version"])
def test_what_needs_none(guarded, path):
    assert httpx.get(guarded.url + path).status_code == 200


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "right", "Basic right", "Bearer ri"])
def test_wrong_keys(guarded, header):
    answer = httpx.get(f"{guarded.base_url}/models", headers={"authorization": header.encode()})
    assert answer.status_code == 401
    assert "right" not in answer.text


def test_the_official_client(guarded):
    with openai.OpenAI(base_url=guarded.base_url, api_key="other", max_retries=0) as client:
        assert client.models.list().data
    with (
        openai.OpenAI(base_url=guarded.base_url, api_key="wrong", max_retries=0) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.models.list()
