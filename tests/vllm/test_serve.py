"""The whole application over Ray Serve: vLLM's replicas behind HAProxy, one of which dies."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from tests.inference.running import Running, answering, command_line, listening
from tests.vllm.conftest import DEMO_MODEL, ENVIRONMENT, MODEL

START_S = 180.0


def config(folder: Path, num_replicas: int = 1, **args: Any) -> str:
    """A config file for one application."""
    path = folder / "config.yaml"
    told = {
        "model_name": str(DEMO_MODEL),
        "vllm_device": "cpu",
        "batch_size": 8,
        "max_model_len": 1024,
        "engine_kwargs": {"enforce_eager": True},
        **args,
    }
    application = {
        "name": "chat",
        "import_path": "inference:typed_app_builder",
        "route_prefix": "/",
        "args": told,
        "deployments": [{"name": "VLLMPredictDeployment", "num_replicas": num_replicas}],
    }
    path.write_text(yaml.safe_dump({"applications": [application]}))
    return str(path)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two replicas behind HAProxy; what the first of them says while it starts is looked at."""
    home = tmp_path_factory.mktemp("home")
    with Running((config(home, num_replicas=2),), home, ENVIRONMENT) as server:
        server.wait_until(lambda: loading(server) is not None, START_S)
        server.wait_until_ready()
        server.wait_until(lambda: num_replicas(server) == 2, START_S)
        yield server


def loading(server: Running) -> dict[str, Any] | None:
    """What a replica that does not answer yet says at its own port."""
    told = (health(port) for port in ports(server))
    return next((each for each in told if each and each["status"] == "loading"), None)


def ports(server: Running) -> list[int]:
    return [port for each in server.called("ServeReplica") for _, port in listening(each)]


def health(port: int) -> dict[str, Any] | None:
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).json()
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) and "status" in answer else None


def engine(replica: psutil.Process) -> psutil.Process:
    """vLLM's process."""
    return next(each for each in replica.children() if "EngineCore" in command_line(each))


def replicas(server: Running) -> list[psutil.Process]:
    return server.called("ServeReplica")


def ask(server: Running, **body: Any) -> httpx.Response:
    asked = {"model": MODEL, "prompt": "one two three", "max_tokens": 4, **body}
    return httpx.post(f"{server.url}/v1/completions", json=asked, timeout=60)


def test_both_replicas_answer(two: Running) -> None:
    answer = ask(two, ignore_eos=True)
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] == 4
    assert httpx.get(f"{two.url}/version").json()["resources"]["num_replicas"] == 2


def stream_until_the_end(server: Running) -> str:
    """A long answer, read to its end, whatever that is."""
    body = {"model": MODEL, "prompt": "one", "max_tokens": 900, "ignore_eos": True, "stream": True}
    text = ""
    with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=60) as answer:
        for piece in answer.iter_text():
            text += piece
    return text


def test_a_killed_engine_costs_its_own_requests_only_and_its_replica_is_replaced(two: Running):
    """It is stopped before it is killed: so it has requests then, however late this test is let on
    by a machine whose cores all compute.
    """
    replica, *survivors = replicas(two)
    victim = engine(replica)
    victim.suspend()
    with ThreadPoolExecutor(8) as pool:
        streams = [pool.submit(stream_until_the_end, two) for _ in range(8)]
        wait(streams, return_when=FIRST_COMPLETED)  # the other replica's
        victim.kill()
        told = [each.result() for each in streams]
    whole = [text for text in told if text.rstrip().endswith("[DONE]") and "error" not in text]
    broken = [text for text in told if "engine_dead" in text or "EngineCore" in text]
    assert broken, f"those of the dead one are told why, not {[text[-300:] for text in told]}"
    assert whole, "and the others are whole"
    assert len(whole) + len(broken) == len(told)
    # It ends itself, and from then on nobody is sent there.
    psutil.wait_procs([replica], timeout=20)
    assert not replica.is_running()
    assert {ask(two, max_tokens=1).status_code for _ in range(20)} == {200}
    two.wait_until(lambda: replica not in (now := replicas(two)) and len(now) == 2, START_S)
    assert set(survivors) <= set(replicas(two))
    two.wait_until(lambda: num_replicas(two) == 2, START_S)
    assert ask(two).status_code == 200


def num_replicas(server: Running) -> int:
    found = httpx.get(f"{server.url}/version", timeout=10).json()["resources"]["num_replicas"]
    return int(found)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"vllm_device": "gpu"}, "this cluster has no GPU; set target_device"),
        ({"gpu_count": 4, "vllm_device": "gpu"}, "this cluster has no GPU"),
        ({"data_type": "bfloat61"}, "data_type: "),
        ({"engine_kwargs": {"enforce_eagre": True}}, "did you mean 'enforce_eager'"),
        ({"replicas_per_gpu": 2, "vllm_device": "gpu"}, "1 replicas / 2 on each GPU"),
        ({"kv_cache_bytes": 100_000}, "kv_cache_bytes: 100000 is less than"),
    ],
)
def test_what_cannot_start_is_said_in_one_sentence(tmp_path: Path, args, words) -> None:
    with Running((config(tmp_path, **args),), tmp_path, ENVIRONMENT) as server:
        assert server.process.wait(START_S) != 0
        assert words in server.output.replace("\n", " ")
        assert "Traceback" not in server.output


def test_python_proxy(tmp_path: Path) -> None:
    arguments = (config(tmp_path), "--proxy", "python")
    with answering(*arguments, home=tmp_path, **ENVIRONMENT) as server:
        assert ask(server).status_code == 200
        assert stream_until_the_end(server).rstrip().endswith("[DONE]")
