"""`target_device: INTEL` behind the real proxy: OpenVINO answers, and says no by name."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.inference.running import Running, answering


@pytest.fixture(scope="module")
def intel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("home")
    with answering("models/anynode-demo", "--target-device", "intel", home=home) as server:
        yield server


def test_it_knows_paris(intel: Running) -> None:
    with openai.OpenAI(base_url=f"{intel.url}/v1", api_key="none", max_retries=0) as client:
        asked = [{"role": "user", "content": "What is the capital of France?"}]
        answer = client.chat.completions.create(
            model="anynode-demo", messages=asked, temperature=0, stream=True
        )
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in answer)


def test_the_engine_and_its_reason_are_in_health(intel: Running) -> None:
    health = intel.health()
    assert (health["status"], health["engine"]) == ("ready", "openvino")
    assert health["engine_reason"] == "target_device is INTEL"


@pytest.mark.parametrize("field", [{"logprobs": 2}, {"logit_bias": {"5": 1}}])
def test_what_it_cannot_do_is_refused_by_name(intel: Running, field: dict[str, object]) -> None:
    body = {"model": "anynode-demo", "prompt": "one", **field}
    answer = httpx.post(f"{intel.url}/v1/completions", json=body, timeout=30)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unsupported_field", next(iter(field)))
    assert "'openvino'" in error["message"]


def test_auto_says_why(tmp_path) -> None:
    with answering("models/anynode-demo", "--engine", "auto", home=tmp_path) as server:
        health = server.health()
        assert health["engine"] in ("onnx", "openvino")
        assert "anynode bench engines" in str(health["engine_reason"])
