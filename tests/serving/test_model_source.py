"""serving.model_source: where a model's files are."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT, fetch_model, find_folder, is_hub_id


def test_a_folder_is_found_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_folder("here") == tmp_path / "here"
    assert fetch_model(str(tmp_path / "here")) == tmp_path / "here"


def test_a_folder_beside_the_packages_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_folder("serving/cpu") == PACKAGES_ROOT / "serving" / "cpu"
    assert find_folder("no/such") is None


def test_a_gguf_file_stands_for_a_folder_and_no_other_file_does(tmp_path: Path) -> None:
    for name in ("a.gguf", "a.txt"):
        (tmp_path / name).touch()
    assert fetch_model(str(tmp_path / "a.gguf")) == tmp_path / "a.gguf"
    assert find_folder(str(tmp_path / "a.txt")) is None


@pytest.mark.parametrize(
    ("model_name", "is_one"),
    [
        ("owner/name", True),
        ("meta-llama/Llama-2-7b-chat-hf", True),
        ("serving/typo", False),  # serving is a folder here
        ("/absolute/path", False),
        ("./relative/path", False),
        ("name", False),
        ("a/b/c", False),
        ("<Model Path>", False),
    ],
)
def test_what_can_only_be_a_hub_id(model_name: str, is_one: bool) -> None:
    assert is_hub_id(model_name) is is_one


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match="no folder '<Model Path>'") as caught:
        fetch_model("<Model Path>")
    assert caught.value.param == "model_name"


def test_the_hub_is_asked_with_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = {}

    def snapshot(model_name: str, *, token: str | None, ignore_patterns: list[str]) -> str:
        asked.update(model_name=model_name, token=token, ignored=ignore_patterns)
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert fetch_model("owner/name", token="hf_x") == tmp_path
    assert asked["token"] == "hf_x"
    assert "*.bin" in asked["ignored"]


def test_a_hub_that_is_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(*_: object, **__: object) -> str:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(ConfigError, match=r"could not be fetched .* \(no route\)") as caught:
        fetch_model("owner/name", token="hf_x")
    assert "hf_x" not in caught.value.message


class Hub(BaseHTTPRequestHandler):
    """Answers as the hub does for models that are not for everybody."""

    def do_GET(self) -> None:
        gated = "gated" in self.path
        code = "GatedRepo" if gated else "RepoNotFound"
        self.send_response(403 if gated else 404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.tokens.append(self.headers.get("authorization"))  # type: ignore[attr-defined]

    do_HEAD = do_GET  # noqa: N815  (the server's own word)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        server.tokens = []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(
    ("model_name", "words"),
    [
        ("meta/gated", "'meta/gated' is gated on the Hugging Face Hub; accept its terms"),
        ("meta/typo", "the Hugging Face Hub shows no such model; correct the name"),
    ],
)
def test_what_the_hub_refuses_is_said_with_the_way_in(
    hub: ThreadingHTTPServer, tmp_path: Path, model_name: str, words: str
) -> None:
    """In a process of its own, because the client reads the hub's address when it is imported."""
    code = (
        "from serving.errors import ConfigError\n"
        "from serving.model_source import fetch_model\n"
        f"try:\n    fetch_model({model_name!r}, token='hf_secret')\n"
        "except ConfigError as error:\n    print(error.message)\n"
    )
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    endpoint = {"HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **endpoint, "NO_PROXY": "127.0.0.1"},
        cwd=PACKAGES_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert words in done.stdout
    assert "HF_TOKEN" in done.stdout
    assert "hf_secret" not in done.stdout
    assert "Bearer hf_secret" in hub.tokens  # type: ignore[attr-defined]
