"""What `anynode serve` prints works as it is pasted."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from inference.args import ApplicationArgs
from inference.cli.welcome import welcome
from inference.local import config as local_config
from tests.inference.running import Running, answering


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The bundled model, with no word said but the port."""
    with answering(home=tmp_path_factory.mktemp("home")) as server:
        yield server


def pasted(output: str, title: str, end: str) -> str:
    found = re.search(rf"^{title}\n\n(.+?{re.escape(end)})$", output, re.MULTILINE | re.DOTALL)
    assert found, output
    return found[1]


def test_the_curl_example_answers(demo: Running) -> None:
    command = pasted(demo.output, "From a shell:", "'")
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert '"role":"assistant"' in done.stdout


def test_the_python_example_answers(demo: Running) -> None:
    program = pasted(demo.output, r"From Python, such as \S+:", "content)")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip()


def test_the_url_and_the_models_name_stand_at_the_top(demo: Running) -> None:
    assert f"anynode-demo  at  {demo.url}/v1" in demo.output


def test_it_says_how_far_it_is(demo: Running) -> None:
    stages = re.findall(r"^ *[\d.]+ s  (.+)$", demo.output, re.MULTILINE)
    assert stages == ["starting Ray", "starting Serve", "loading the model"]


def test_a_key_is_shown_by_its_variables_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYNODE_API_KEY", "sk-secret")
    config = local_config.from_args(ApplicationArgs(model_name="m", engine="echo"))
    text = welcome(config, seconds=1)
    assert '-H "Authorization: Bearer $ANYNODE_API_KEY"' in text
    assert '["ANYNODE_API_KEY"]' in text
    assert "sk-secret" not in text
