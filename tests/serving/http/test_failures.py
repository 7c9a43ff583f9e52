"""What goes wrong harms one request only, and its caller is told what and why."""

from __future__ import annotations

import json
import threading
import time

import httpx
import openai
import pytest

from serving.errors import EngineDead, InvalidRequest
from serving.http import ReplicaFace
from tests.serving.http.fakes import FakeEngine, failing, forever
from tests.serving.http.live import MODEL, Live, live

CHAT = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}]}


def ask(replica: Live, **fields) -> httpx.Response:
    return httpx.post(f"{replica.base_url}/chat/completions", json={**CHAT, **fields}, timeout=20)


def error_of(answer: httpx.Response) -> dict:
    return answer.json()["error"]


def last_event(answer: httpx.Response) -> dict:
    return json.loads(answer.text.rstrip().rpartition("data: ")[2])


def wait_for(condition) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def test_an_exception_in_the_engine_is_one_requests_500(caplog):
    with live(FakeEngine(first=failing(ZeroDivisionError("secret detail")))) as replica:
        answer = ask(replica)
        assert answer.status_code == 500
        assert error_of(answer)["type"] == "server_error"
        assert answer.headers["x-request-id"] in error_of(answer)["message"]
        assert "secret" not in answer.text
        replica.engine.first = None
        assert ask(replica).status_code == 200
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert answer.headers["x-request-id"] in record.getMessage()
    assert "secret detail" in str(record.exc_info[1])


def test_the_official_client_sees_its_own_errors():
    with (
        live(FakeEngine(first=failing(InvalidRequest("no", param="prompt")))) as replica,
        openai.OpenAI(base_url=replica.base_url, api_key="x", max_retries=0) as client,
    ):
        with pytest.raises(openai.BadRequestError) as refused:
            client.chat.completions.create(**CHAT, stream=True)
        assert refused.value.param == "prompt"
        replica.engine.first = failing(RuntimeError())
        with pytest.raises(openai.InternalServerError):
            client.chat.completions.create(**CHAT)


@pytest.mark.parametrize("error", [RuntimeError("x"), InvalidRequest("too late")])
def test_an_error_after_the_first_token_ends_the_stream(error):
    with (
        live(FakeEngine(then=failing(error))) as replica,
        openai.OpenAI(base_url=replica.base_url, api_key="x", max_retries=0) as client,
    ):
        answer = ask(replica, stream=True)
        assert answer.status_code == 200
        assert "[DONE]" not in answer.text
        assert '"content":"a"' in answer.text
        assert last_event(answer)["error"]["message"]
        with (
            pytest.raises(openai.APIError),
            client.chat.completions.create(**CHAT, stream=True) as stream,
        ):
            list(stream)
        assert replica.face.num_running == 0


def test_a_dead_engine_stays_dead():
    with live(FakeEngine(first=failing(EngineDead("out of memory")))) as replica:
        answer = ask(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "engine_dead")
        health = httpx.get(f"{replica.url}/health")
        assert health.status_code == 503
        assert health.json()["status"] == "dead"
        assert "out of memory" in health.json()["error"]
        replica.engine.first = None
        assert ask(replica).status_code == 503


def test_an_engine_that_dies_within_a_stream_is_dead_too():
    with live(FakeEngine(then=failing(EngineDead("gone")))) as replica:
        assert last_event(ask(replica, stream=True))["error"]["code"] == "engine_dead"
        assert ask(replica).status_code == 503


def test_too_long_is_a_504_and_stops_the_work():
    with live(FakeEngine(first=forever), request_timeout_s=0.2) as replica:
        answer = ask(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (504, "timeout")
        assert replica.engine.closed_early == 1
        assert replica.face.num_running == replica.engine.open == 0


def test_too_long_within_a_stream():
    with live(FakeEngine(then=forever), request_timeout_s=0.2) as replica:
        answer = ask(replica, stream=True)
        assert answer.status_code == 200
        assert last_event(answer)["error"]["code"] == "timeout"
        assert replica.engine.closed_early == 1


def test_waiting_counts_as_time():
    with live(
        FakeEngine(first=forever), request_timeout_s=0.3, max_num_seqs=1, max_queued_requests=1
    ) as replica:
        answers: list[httpx.Response] = []
        threads = [threading.Thread(target=lambda: answers.append(ask(replica))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [504, 504]
        assert replica.face.num_running == replica.face.num_waiting == 0


def test_a_full_queue_is_refused_at_once():
    with (
        live(FakeEngine(first=forever), max_num_seqs=1, max_queued_requests=1) as replica,
        openai.OpenAI(base_url=replica.base_url, api_key="x", max_retries=0) as client,
    ):
        held = [send_raw(replica, stream=False) for _ in range(2)]
        wait_for(lambda: replica.face.num_running == replica.face.num_waiting == 1)
        with pytest.raises(openai.RateLimitError) as caught:
            client.chat.completions.create(**CHAT)
        assert caught.value.code == "queue_full"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        for connection in held:
            connection.close()
        wait_for(lambda: replica.face.num_running == replica.face.num_waiting == 0)


def send_raw(replica: Live, **fields):
    body = json.dumps({**CHAT, **fields}).encode()
    connection = replica.connect()
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: test\r\n"
        b"content-length: %d\r\n\r\n%b" % (len(body), body)
    )
    return connection


def read_until(connection, wanted: bytes) -> None:
    received = b""
    while wanted not in received:
        piece = connection.recv(65536)
        assert piece, f"the connection ended after {received!r}"
        received += piece


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_away_stops_its_work(stream):
    with live(FakeEngine(then=forever)) as replica:
        connection = send_raw(replica, stream=stream)
        if stream:
            read_until(connection, b'"content":"a"')
        wait_for(lambda: replica.engine.open == 1)
        connection.close()
        wait_for(lambda: replica.engine.open == 0)
        assert replica.engine.closed_early == 1
        wait_for(lambda: replica.face.num_running == 0)


def test_a_client_that_goes_away_leaves_the_queue():
    with live(FakeEngine(first=forever), max_num_seqs=1) as replica:
        first = send_raw(replica)
        wait_for(lambda: replica.face.num_running == 1)
        second = send_raw(replica)
        wait_for(lambda: replica.face.num_waiting == 1)
        second.close()
        wait_for(lambda: replica.face.num_waiting == 0)
        assert len(replica.engine.seen) == 1
        first.close()
        wait_for(lambda: replica.face.num_running == 0)


def test_a_slow_reader_does_not_keep_its_place():
    with live(max_num_seqs=1, max_queued_requests=0, request_timeout_s=30) as replica:
        slow = send_raw(replica, stream=True, max_tokens=8000, ignore_eos=True)
        wait_for(lambda: replica.face.num_running == 1)
        wait_for(lambda: replica.face.num_running == 0)  # although nothing has been read
        assert ask(replica).status_code == 200
        slow.close()


def test_loading_says_what_it_does():
    def load(face: ReplicaFace) -> None:
        face.loading("reading weights")

    with live(prepare=load) as replica:
        answer = ask(replica)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "loading")
        assert "reading weights" in error_of(answer)["message"]
        assert answer.headers["retry-after"] == "2"
        health = httpx.get(f"{replica.url}/health")
        assert health.status_code == 503
        assert health.json()["doing"] == "reading weights"
        assert httpx.get(f"{replica.base_url}/models").status_code == 200
        assert httpx.get(f"{replica.url}/metrics").status_code == 200
        replica.face.ready()
        assert ask(replica).status_code == 200


def test_a_failed_load_says_why():
    with live(prepare=lambda face: face.failed(ValueError("no such file"))) as replica:
        assert "no such file" in error_of(ask(replica))["message"]


def test_a_large_body_is_refused():
    with live(max_body_bytes=1000) as replica:
        large = json.dumps({**CHAT, "user": "x" * 2000}).encode()
        url = f"{replica.base_url}/chat/completions"
        announced = httpx.post(url, content=large)
        assert (announced.status_code, error_of(announced)["code"]) == (413, "request_too_large")
        pieces = (large[at : at + 100] for at in range(0, len(large), 100))
        chunked = httpx.post(url, content=pieces)
        assert chunked.status_code == 413


def test_too_many_prompts():
    with live(max_prompts=2) as replica:
        body = {"model": MODEL, "prompt": ["a", "b", "c"]}
        answer = httpx.post(f"{replica.base_url}/completions", json=body)
        assert answer.status_code == 400
        assert error_of(answer)["param"] == "prompt"


def test_the_wrong_method():
    with live() as replica:
        answer = httpx.get(f"{replica.base_url}/chat/completions")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert httpx.delete(replica.url).headers["allow"] == "GET, HEAD, POST"
        assert error_of(answer)["code"] == "method_not_allowed"


def test_many_prompts_run_as_many_at_a_time_as_fit():
    seen: list[int] = []

    async def watch(request) -> None:
        seen.append(replica.engine.open)

    with live(FakeEngine(first=watch), max_num_seqs=3) as replica:
        body = {"model": MODEL, "prompt": ["p"] * 10}
        answer = httpx.post(f"{replica.base_url}/completions", json=body).json()
        assert [choice["text"] for choice in answer["choices"]] == ["az"] * 10
        assert [choice["index"] for choice in answer["choices"]] == list(range(10))
        assert answer["usage"] == {
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "total_tokens": 30,
        }
        assert max(seen) <= 3
        assert len({request.request_id for request in replica.engine.seen}) == 10


def test_one_failing_prompt_stops_the_others():
    async def fail_second(request) -> None:
        if request.prompt == "bad":
            raise InvalidRequest("bad prompt", param="prompt")
        await forever(request)

    with live(FakeEngine(first=fail_second), max_num_seqs=2) as replica:
        body = {"model": MODEL, "prompt": ["good", "bad"]}
        answer = httpx.post(f"{replica.base_url}/completions", json=body, timeout=10)
        assert answer.status_code == 400
        assert replica.engine.open == 0
