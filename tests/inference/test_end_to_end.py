"""The whole application over a real Ray Serve, behind each proxy, as clients meet it."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import openai
import psutil
import pytest

from serving.cpu.topology import parse_cpus
from tests.inference.conftest import TWO_APPLICATIONS
from tests.inference.running import Running, answering, listening, wait_until

KEY = "sk-only-for-this-test"


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An echo on all interfaces that asks for a key."""
    arguments = ("echo", "--engine", "echo", "--host", "0.0.0.0", "--num-threads", "1")
    home = tmp_path_factory.mktemp("home")
    with answering(*arguments, home=home, ANYNODE_API_KEY=KEY) as server:
        yield server


def client(server: Running, prefix: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}{prefix}/v1", api_key="unused", max_retries=0)


def ask(text: str) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": text}]}


def test_both_models_answer_under_their_prefixes(two: Running) -> None:
    with client(two, "/cpu") as intel, client(two, "/acpu") as amd:
        assert [model.id for model in intel.models.list()] == ["anynode-demo"]
        assert [model.id for model in amd.models.list()] == ["echo"]
        demo = intel.chat.completions.create(model="anynode-demo", **ask("Hello!"))  # type: ignore[call-overload]
        echo = amd.chat.completions.create(model="echo", **ask("Hello!"))  # type: ignore[call-overload]
    assert demo.choices[0].message.content
    assert demo.usage.completion_tokens <= 16
    assert echo.choices[0].message.content == "Hello!"


def test_a_stream_says_the_same_as_one_answer(two: Running) -> None:
    request = {"model": "anynode-demo", "temperature": 0, **ask("Tell me a story.")}
    with client(two, "/cpu") as intel:
        whole = intel.chat.completions.create(**request)  # type: ignore[call-overload]
        parts = [
            chunk.choices[0].delta.content or ""
            for chunk in intel.chat.completions.create(stream=True, **request)  # type: ignore[call-overload]
            if chunk.choices
        ]
    assert "".join(parts) == whole.choices[0].message.content
    assert len(parts) > 1


def test_a_stream_comes_while_it_is_made(two: Running) -> None:
    with client(two, "/acpu") as amd:
        began = time.monotonic()
        stream = amd.completions.create(model="echo", prompt="x" * 20, max_tokens=20, stream=True)
        arrivals = [time.monotonic() - began for _ in stream]
    assert arrivals[0] < arrivals[-1] / 2
    assert len(arrivals) > 5


def test_the_prefix_itself_takes_a_prompt(two: Running) -> None:
    answer = httpx.post(f"{two.url}/cpu", json={"prompt": "Once upon a time"}, timeout=30)
    assert answer.status_code == 200
    assert answer.text


def test_the_version_tells_what_all_replicas_run_on(two: Running) -> None:
    found = httpx.get(f"{two.url}/cpu/version").json()["resources"]
    assert found == {"num_replicas": 1, "num_cpus": 1, "num_gpus": 0}


def test_the_engines_threads_are_where_health_says(two: Running) -> None:
    cpu = httpx.get(f"{two.url}/cpu/health").json()["cpu"]
    assert cpu["num_threads"] == 1
    # Another server on this machine may have taken all cores; then it says so.
    assert cpu["pinned"] or "free of other replicas" in cpu["warnings"][0]
    cores = parse_cpus(cpu["cores"])
    assert len(cores) == 1 or not cpu["pinned"]
    (replica,) = two.called("ServeReplica:demo-intel")
    allowed = [os.sched_getaffinity(thread.id) for thread in replica.threads()]
    assert cores in allowed
    assert os.sched_getaffinity(0) in allowed  # HTTP's


def test_a_path_nobody_serves_is_404(two: Running) -> None:
    assert httpx.get(f"{two.url}/cpu/v1/nothing").status_code == 404
    assert httpx.get(f"{two.url}/elsewhere/v1/models").status_code == 404


def test_a_client_that_leaves_frees_its_place(two: Running) -> None:
    body = {"model": "echo", "prompt": "x", "max_tokens": 2000, "ignore_eos": True, "stream": True}
    url = f"{two.url}/acpu/v1/completions"
    with httpx.stream("POST", url, json=body, timeout=30) as answer:
        assert answer.status_code == 200
        pieces = answer.iter_bytes()  # held: dropping it would close the answer
        next(pieces)
        assert two.health("/acpu")["running"] == 1
    left = time.monotonic()
    wait_until(lambda: not two.health("/acpu")["running"])
    assert time.monotonic() - left < 3


def test_the_log_says_what_an_argument_does_not_do(two: Running) -> None:
    assert "batch_timeout: batching is continuous" in two.output


def replica_ports(server: Running) -> list[int]:
    """The ports replicas speak HTTP on, beside their proxy."""
    ports = [port for each in server.called("ServeReplica") for _, port in listening(each)]
    return [port for port in ports if is_healthy(port)]


def is_healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200
    except httpx.HTTPError:
        return False


def test_the_key_is_asked_for_at_the_proxy_and_behind_it(locked: Running) -> None:
    (direct,) = replica_ports(locked)
    for url in (locked.url, f"http://127.0.0.1:{direct}"):
        models = f"{url}/v1/models"
        assert httpx.get(models).status_code == 401
        wrong = httpx.get(models, headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        right = httpx.get(models, headers={"Authorization": f"Bearer {KEY}"})
        assert right.status_code == 200


def test_the_key_is_never_shown(locked: Running) -> None:
    assert '"Authorization: Bearer $ANYNODE_API_KEY"' in locked.output
    logs = "".join(
        path.read_text(errors="replace")
        for path in locked.folder().rglob("*")
        if path.is_file() and path.suffix in {".log", ".out", ".err", ".json", ".cfg"}
    )
    assert KEY not in locked.output + logs


def outer_address() -> str | None:
    """An address of this machine that is not its loopback one."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return str(each.address)
    return None


def test_a_replica_answers_nobody_on_another_machine(locked: Running) -> None:
    """A peer that comes from this machine's outer address is as good as one from elsewhere."""
    address = outer_address()
    if address is None:
        pytest.skip("this machine has a loopback address only")
    headers = {"Authorization": f"Bearer {KEY}"}
    (direct,) = replica_ports(locked)
    assert httpx.get(f"http://{address}:{direct}/health", headers=headers).status_code == 403
    for spoofed in ("127.0.0.1", "::1"):
        forged = headers | {"X-Forwarded-For": spoofed, "Forwarded": f"for={spoofed}"}
        assert httpx.get(f"http://{address}:{direct}/health", headers=forged).status_code == 403


def test_the_public_port_answers_everybody(locked: Running) -> None:
    address = outer_address() or "127.0.0.1"
    assert httpx.get(f"http://{address}:{locked.port}/health").status_code == 200
    behind_nginx = {"X-Forwarded-For": "203.0.113.9"}
    assert httpx.get(f"{locked.url}/health", headers=behind_nginx).status_code == 200


def exposed_ports(server: Running) -> set[int]:
    """Those that peers on other machines can connect to."""
    return {port for host, port in server.listening() if not host.endswith("127.0.0.1")}


def test_no_other_port_lets_anybody_in(locked: Running) -> None:
    """Ray opens three more where the public port is open to all: the replica's and the fallback
    proxy's, which refuse, and Serve's own between replicas, which speaks gRPC and wants a token."""
    address = outer_address()
    if address is None:
        pytest.skip("this machine has a loopback address only")
    wait_until(lambda: locked.port in exposed_ports(locked))  # HAProxy replaces itself at first
    exposed = exposed_ports(locked)
    assert len(exposed) <= 4
    for port in exposed - {locked.port}:
        with contextlib.suppress(httpx.RemoteProtocolError):
            assert httpx.get(f"http://{address}:{port}/health").status_code == 403


def test_all_else_listens_on_the_loopback_interface(two: Running) -> None:
    """But for Serve's gRPC port between replicas, one for each; and that wants Ray's token."""
    exposed = exposed_ports(two)
    assert len(exposed) == len(TWO_APPLICATIONS["applications"])
    for port in exposed:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            handle = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as caught:
                handle(b"", timeout=10)
        assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_two_at_once_do_not_meet(locked: Running, two: Running) -> None:
    assert locked.folder() != two.folder()
    ours, theirs = ({port for _, port in each.listening()} for each in (locked, two))
    assert not ours & theirs


def test_a_home_of_ones_own_stays_empty(locked: Running) -> None:
    home = Path(psutil.Process(locked.process.pid).environ()["HOME"])
    assert [path.name for path in home.iterdir()] == ["output.txt"]
