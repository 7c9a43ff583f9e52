"""What a server says of itself, asked over real sockets."""

from __future__ import annotations

import socket
import threading

import pytest

from inference.bench.probe import model_id, server
from inference.bench.report.model import ServerReport
from serving.errors import ConfigError
from serving.http.auth import ApiKeys
from tests.inference.bench.fake_http import routes, serving
from tests.serving.http.live import MODEL, live

MODELS = {"object": "list", "data": [{"id": "small"}, {"id": "large"}]}


@pytest.fixture
def closed_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_our_own_replica_tells_its_models_and_versions():
    with live() as replica:
        found = server(replica.url, {}, arm="ours")
    assert (found.arm, found.url, found.models) == ("ours", replica.url, [MODEL])
    assert found.version["engine"] == "echo"


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/completions"])
def test_any_url_of_a_server_will_do(end: str):
    with serving(routes({"/cpu/v1/models": MODELS, "/cpu/version": {"version": "1"}})) as fake:
        found = server(f"{fake.url}/cpu{end}", {})
    assert found.url == f"{fake.url}/cpu"
    assert found.models == ["small", "large"]
    assert found.version == {"version": "1"}


def test_routes_that_a_server_does_not_have_leave_their_part_empty():
    with serving(routes({})) as fake:
        found = server(fake.url, {})
    assert found == ServerReport(url=fake.url)


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b"", [], {"data": 3}, {"data": [1, {}]}])
def test_answers_in_other_shapes_say_nothing(body):
    known = {"/v1/models": body, "/version": [1], "/health": {"resources": "many"}}
    with serving(routes(known)) as fake:
        assert server(fake.url, {}) == ServerReport(url=fake.url)


@pytest.mark.parametrize("route", ["/version", "/health"])
def test_hardware_is_what_the_server_says_of_it(route: str):
    with serving(routes({route: {"resources": {"num_gpus": 2, "num_cpus": 16.0}}})) as fake:
        found = server(fake.url, {})
    assert (found.num_gpus, found.num_cores) == (2, 16)


@pytest.mark.parametrize("value", [0.5, -1, True, "4", None])
def test_a_number_of_gpus_that_divides_nothing_is_unknown(value):
    with serving(routes({"/version": {"resources": {"num_gpus": value}}})) as fake:
        assert server(fake.url, {}).num_gpus is None


def test_every_route_is_asked_with_the_headers_given():
    with serving(routes({})) as fake:
        server(fake.url, {"Authorization": "Bearer secret"})
    assert [each.headers["Authorization"] for each in fake.asked] == ["Bearer secret"] * 3


def test_the_environments_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch, closed_port: int):
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    with serving(routes({"/v1/models": MODELS})) as fake:
        assert server(fake.url, {}).models == ["small", "large"]


def test_a_missing_key_is_said_with_the_fix():
    with live(keys=ApiKeys.from_environment({"ANYNODE_API_KEY": "right"})) as replica:
        with pytest.raises(ConfigError, match="answers 401: put its key into ANYNODE_API_KEY"):
            server(replica.url, {})
        assert server(replica.url, {"Authorization": "Bearer right"}).models == [MODEL]


def test_nobody_there_is_said_with_the_reason(closed_port: int):
    url = f"http://127.0.0.1:{closed_port}"
    said = f"nothing answers at {url}: connection refused; is the server running?"
    with pytest.raises(ConfigError) as caught:
        server(f"{url}/v1", {})
    assert caught.value.message == said


def test_an_unknown_host_is_said_with_the_reason():
    with pytest.raises(ConfigError, match=r"nothing answers at http://no\.such\.host\.invalid: "):
        server("http://no.such.host.invalid", {})


def test_a_server_of_another_protocol_is_no_http_server():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"220 mail.example ESMTP\r\n")
                connection.recv(1024)

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(ConfigError, match="is no HTTP server"):
            server(f"http://127.0.0.1:{listener.getsockname()[1]}", {})
        thread.join()


def test_silence_is_said_to_be_silence(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("inference.bench.probe.TIMEOUT_S", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(ConfigError, match=r"no answer within 0\.05 s"),
    ):
        server(f"http://127.0.0.1:{listener.getsockname()[1]}", {})


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://a:b"])
def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ConfigError):
        server(url, {})


SAID = ServerReport(url="http://host", models=["small", "large"])
SILENT = ServerReport(url="http://host")


def test_the_model_is_the_one_asked_for_or_the_first():
    assert model_id(SAID, None) == "small"
    assert model_id(SAID, "large") == "large"
    assert model_id(SILENT, "any") == "any"


def test_an_unknown_model_is_refused_with_the_nearest_and_the_list():
    with pytest.raises(ConfigError) as caught:
        model_id(SAID, "lage")
    assert caught.value.message == (
        "--model: http://host has no 'lage'; did you mean 'large'? it has: small, large"
    )


def test_a_server_without_models_needs_a_name():
    with pytest.raises(ConfigError, match="name one with --model"):
        model_id(SILENT, None)
