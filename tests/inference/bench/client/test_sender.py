"""One request at a time: what a good server says, and every way a bad one can fail."""

from __future__ import annotations

import json
import re
import socket
import threading

import pytest

from inference.bench.record import CountedBy, FailureKind
from serving.http.auth import ApiKeys
from tests.inference.bench import misbehaving as bad
from tests.inference.bench.client.asking import ask
from tests.inference.bench.misbehaving import DONE, GOOD, event, misbehaving, usage
from tests.serving.http.live import live

TEXT = "0000000000xxxxxxxxxx"


@pytest.mark.parametrize("route", ["chat", "completions"])
@pytest.mark.parametrize("stream", [True, False])
def test_the_servers_own_count_is_taken(route, stream):
    with live() as server:
        record = ask(server.url, route=route, stream=stream)[0]
    assert record.failure is None
    assert (record.prompt_tokens, record.output_tokens) == (20, 10)
    assert record.counted_by is CountedBy.SERVER
    assert record.finish_reason == "length"
    assert record.scheduled_s <= record.sent_s <= record.ended_s
    assert bool(record.event_times_s) == stream
    assert list(record.event_times_s) == sorted(record.event_times_s)


@pytest.mark.parametrize("stream", [True, False])
def test_the_older_route_is_understood_too(stream):
    with live() as server:
        record = ask(server.url, route="generate", stream=stream)[0]
    assert record.failure is None
    assert record.counted_by is CountedBy.EVENTS
    assert record.extra["text"] == TEXT[:10]  # without the prompt, which whole answers repeat


def test_every_field_that_is_asked_for_is_sent():
    with misbehaving(bad.says(GOOD)) as server:
        ask(server.url, sampling={"temperature": 0.5, "ignore_eos": True}, headers={"X-A": "b"})
    head, body = server.requests[0]
    assert head.startswith("POST /v1/completions HTTP/1.1")
    assert "X-A: b" in head
    assert json.loads(body) == {
        "prompt": TEXT,
        "temperature": 0.5,
        "ignore_eos": True,
        "model": "echo",
        "max_tokens": 10,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_connection_is_used_again():
    with misbehaving(bad.says(GOOD)) as server:
        records = ask(server.url, times=5)
    assert [record.failure for record in records] == [None] * 5
    assert server.num_connections == 1


def test_a_connection_that_the_server_closed_meanwhile_is_no_failure():
    def says_and_closes(connection: socket.socket) -> None:
        bad.says(GOOD)(connection)
        connection.shutdown(socket.SHUT_RDWR)

    with misbehaving(says_and_closes) as server:
        records = ask(server.url, times=5)
    assert [record.failure for record in records] == [None] * 5


def test_several_urls_take_turns():
    with misbehaving(bad.says(GOOD)) as one, misbehaving(bad.says(GOOD)) as other:
        records = ask(one.url, times=4, urls=(one.url, other.url))
    assert [record.endpoint for record in records] == [0, 1, 0, 1]
    assert (len(one.requests), len(other.requests)) == (2, 2)


def test_a_stream_in_any_pieces_is_the_same_stream():
    def drips(connection: socket.socket) -> None:
        connection.sendall(bad.HEAD + b"Content-Length: %d\r\n\r\n" % len(GOOD))
        for place in range(len(GOOD)):
            connection.sendall(GOOD[place : place + 1])

    with misbehaving(drips) as server:
        record = ask(server.url)[0]
    assert record.failure is None
    assert (record.output_tokens, len(record.event_times_s)) == (2, 2)


def test_comments_other_fields_and_crlf_are_part_of_sse():
    body = b": ping\r\n\r\nevent: message\r\nid: 1\r\n" + GOOD.replace(b"\n", b"\r\n")
    with misbehaving(bad.says(body)) as server:
        record = ask(server.url)[0]
    assert record.failure is None
    assert record.output_tokens == 2


def test_an_answer_may_last_until_the_connection_ends():
    with misbehaving(bad.closes_at_the_end_of(GOOD)) as server:
        assert ask(server.url)[0].failure is None


def test_reasoning_and_tool_calls_are_tokens_too():
    deltas = [{"reasoning_content": "hm"}, {"tool_calls": [{"index": 0}]}, {"content": "a"}]
    events = [json.dumps({"choices": [{"delta": delta}]}).encode() for delta in deltas]
    body = b"".join(b"data: " + each + b"\n\n" for each in events) + DONE
    with misbehaving(bad.says(body)) as server:
        record = ask(server.url, route="chat")[0]
    assert record.failure is None
    assert len(record.event_times_s) == 3


def test_without_a_count_of_the_servers_events_are_counted():
    with misbehaving(bad.says(event("a") + event("b", "stop") + DONE)) as server:
        record = ask(server.url)[0]
    assert (record.output_tokens, record.counted_by) == (2, CountedBy.EVENTS)


def test_embeddings_have_no_tokens_and_no_first_one():
    answer = {"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 4, "total_tokens": 4}}
    with misbehaving(bad.says_json(answer)) as server:
        record = ask(server.url, route="embeddings")[0]
    assert record.failure is None
    assert (record.prompt_tokens, record.output_tokens, record.ttft_s) == (4, 0, None)


ERROR = {"error": {"message": "no such thing", "type": "x", "param": None, "code": None}}
BROKEN = {
    "refused": (bad.says_json(ERROR, status="404 Not Found"), "http_4xx", "no such thing"),
    "full": (bad.says_json(ERROR, status="429 Too Many Requests"), "http_429", "no such thing"),
    "crashed": (bad.says(b"<h1>oh</h1>", status="500 Oh"), "http_5xx", "HTTP 500: <h1>oh</h1>"),
    "dies at once": (bad.dies_after(b""), "disconnected", "closed the connection"),
    "dies later": (bad.dies_after(event("a")), "disconnected", "closed the connection"),
    "resets": (bad.resets, "disconnected", "closed the connection"),
    "ends early": (bad.says(event("a")), "disconnected", r"without \[DONE\] or a finish_reason"),
    "closes early": (bad.closes_at_the_end_of(event("a")), "disconnected", "without"),
    "ends inside": (bad.says(event("a", "stop") + b"data: {"), "malformed", "ends inside the line"),
    "no JSON": (bad.says(b"data: {oops}\n\n" + DONE), "malformed", "oops"),
    "no SSE": (bad.says(b"hello there\n\n"), "malformed", "server-sent events: hello there"),
    "wrong shape": (bad.says(b'data: {"choices": 7}\n\n'), "malformed", "choices"),
    "no HTTP": (bad.sends_raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "malformed", "not HTTP"),
    "an error in the stream": (
        bad.says(event("a") + b"data: " + json.dumps(ERROR).encode() + b"\n\n"),
        "stream_error",
        "no such thing",
    ),
    "no tokens": (bad.says(event("", "stop") + usage(3, 0) + DONE), "no_tokens", "no token"),
    "nothing": (bad.says(DONE), "no_tokens", "no token"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_is_a_record_of_its_class(name):
    behaviour, kind, words = BROKEN[name]
    with misbehaving(behaviour, bad.says(GOOD)) as server:
        failed, fine = ask(server.url, times=2)
    assert failed.failure is not None
    assert failed.failure.kind == kind
    assert re.search(words, failed.failure.detail), failed.failure.detail
    assert fine.failure is None


def test_one_without_a_stream_is_judged_too():
    with misbehaving(bad.says(b"{", kind="application/json")) as server:
        record = ask(server.url, stream=False)[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.MALFORMED


def test_silence_ends_with_the_timeout():
    with misbehaving(bad.stays_silent) as server:
        record = ask(server.url, timeout_s=0.2)[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.TIMEOUT
    assert "0.2 s" in record.failure.detail


def test_nobody_there():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound, not listening
        record = ask(f"http://127.0.0.1:{held.getsockname()[1]}")[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.CONNECT
    assert "Connection refused" in record.failure.detail


def test_a_server_without_tls_is_a_tls_failure():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(1 << 16)

        threading.Thread(target=answer, daemon=True).start()
        record = ask(f"https://127.0.0.1:{listener.getsockname()[1]}")[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.TLS


def test_a_key_is_sent_and_a_wrong_one_is_an_error():
    with live(keys=ApiKeys.from_environment({"ANYNODE_API_KEY": "sesame"})) as server:
        right = ask(server.url, headers={"Authorization": "Bearer sesame"})[0]
        wrong = ask(server.url, headers={"Authorization": "Bearer other"})[0]
    assert right.failure is None
    assert wrong.failure is not None
    assert wrong.failure.kind is FailureKind.HTTP_4XX
