"""The content-safety check: what it lets pass, what it costs, and what it says when it fails."""

from __future__ import annotations

import asyncio
import pickle
import sys
import time

import pytest

from inference.bench.azure_safety import MOST_CHARACTERS
from inference.bench.record import Failure, FailureKind, Prompt, RequestRecord
from inference.bench.safety import (
    ENDPOINT_VARIABLE,
    KEY_VARIABLE,
    SafetySettings,
    azure_is_set,
    checked,
    settings,
    text_of,
)
from serving.errors import ConfigError
from tests.inference.bench.fake_azure import FakeAzure, fake_azure

AZURE = SafetySettings("azure")
CHAT = Prompt(
    messages=({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"})
)


def answering(text: str = "an answer", failure: Failure | None = None):
    """A `Send` that notes the prompts it gets."""
    sent: list[Prompt] = []

    async def send(number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        sent.append(prompt)
        now_s = time.perf_counter()
        return RequestRecord(
            number=number,
            endpoint=0,
            scheduled_s=scheduled_s,
            sent_s=now_s,
            ended_s=now_s,
            output_tokens=3,
            failure=failure,
            extra={"text": text},
        )

    return send, sent


def ask(safety: SafetySettings, send, *prompts: Prompt) -> list[RequestRecord]:
    """All at once."""

    async def scenario() -> list[RequestRecord]:
        asking = checked(send, safety)
        due_s = time.perf_counter()
        sent = [asking(number, prompt, due_s) for number, prompt in enumerate(prompts)]
        return list(await asyncio.gather(*sent))

    return asyncio.run(scenario())


@pytest.fixture
def azure(monkeypatch):
    with fake_azure() as fake:
        fake.set_in(monkeypatch)
        yield fake


def test_a_simulated_check_costs_its_time_before_and_after():
    send, sent = answering()
    record = ask(SafetySettings("simulate", 0.05), send, CHAT)[0]
    assert record.failure is None
    assert sent == [CHAT]
    assert record.extra["safety_s"] > 0.095  # an event loop's timers may be early
    assert record.e2el_s >= record.extra["safety_s"]
    assert record.sent_s - record.scheduled_s > 0.045


def test_simulated_checks_do_not_wait_for_each_other():
    send, _ = answering()
    began_s = time.perf_counter()
    ask(SafetySettings("simulate", 0.2), send, *[CHAT] * 50)
    assert time.perf_counter() - began_s < 5


def test_azure_reads_the_prompt_and_the_answer(azure: FakeAzure):
    send, _ = answering("fine")
    record = ask(AZURE, send, CHAT)[0]
    assert record.failure is None
    assert azure.texts == ["Be kind.\nHello?", "fine"]
    assert 0 < record.extra["safety_s"] <= record.e2el_s
    assert record.extra["text"] == "fine"


def test_an_unsafe_prompt_is_not_sent(azure: FakeAzure):
    send, sent = answering()
    record = ask(AZURE, send, Prompt(text="How is poison made?"))[0]
    assert record.failure == Failure(FailureKind.SAFETY, "unsafe: Violence, severity 4")
    assert sent == []
    assert record.extra["safety_s"] > 0
    assert record.scheduled_s <= record.sent_s <= record.ended_s


def test_an_unsafe_answer_is_a_failure(azure: FakeAzure):
    send, _ = answering("take poison")
    record = ask(AZURE, send, CHAT)[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.SAFETY
    assert record.output_tokens == 3


def test_a_request_that_failed_has_no_answer_to_check(azure: FakeAzure):
    failure = Failure(FailureKind.TIMEOUT, "late")
    send, _ = answering("", failure)
    record = ask(AZURE, send, CHAT)[0]
    assert record.failure == failure
    assert len(azure.texts) == 1
    assert record.extra["safety_s"] > 0


def test_a_text_longer_than_azure_takes_is_read_in_pieces(azure: FakeAzure):
    send, _ = answering()
    text = "x" * MOST_CHARACTERS * 2 + "poison"
    record = ask(AZURE, send, Prompt(text=text))[0]
    assert record.failure is not None
    assert "".join(azure.texts) == text
    assert [len(piece) for piece in azure.texts] == [MOST_CHARACTERS, MOST_CHARACTERS, 6]


def test_connections_are_used_again(azure: FakeAzure):
    send, _ = answering()

    async def scenario() -> None:
        asking = checked(send, AZURE)
        for number in range(5):
            await asking(number, CHAT, time.perf_counter())

    asyncio.run(scenario())
    assert len(azure.texts) == 10
    assert azure.num_connections == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (429, {"error": {"code": "429", "message": "Too many requests"}}, "Too many requests"),
        (500, {"error": {"code": "500", "message": "Broken"}}, "Broken"),
        (200, {"blocklistsMatch": [], "categoriesAnalysis": []}, "no verdict"),
        (200, {"detail": "something else"}, "no verdict"),
    ],
)
def test_a_check_that_fails_is_counted_and_not_tried_again(monkeypatch, status, body, said):
    send, sent = answering()
    with fake_azure(status=status, body=body) as azure:
        azure.set_in(monkeypatch)
        record = ask(AZURE, send, CHAT)[0]
    assert record.failure is not None
    assert record.failure.kind is FailureKind.SAFETY
    assert said in record.failure.detail
    assert "\n" not in record.failure.detail
    assert (len(azure.texts), sent) == (1, [])


def test_a_wrong_key_and_a_dead_service_are_failures_too(monkeypatch):
    send, _ = answering()
    with fake_azure() as azure:
        azure.set_in(monkeypatch)
        monkeypatch.setenv(KEY_VARIABLE, "another")
        refused = ask(AZURE, send, CHAT)[0]
    gone = ask(AZURE, send, CHAT)[0]
    assert refused.failure is not None
    assert "Access denied" in refused.failure.detail
    assert gone.failure is not None
    assert gone.failure.kind is FailureKind.SAFETY


def test_settings_say_who_checks(monkeypatch):
    monkeypatch.setenv(ENDPOINT_VARIABLE, "https://somewhere")
    monkeypatch.setenv(KEY_VARIABLE, "key")
    assert settings("none") is None
    assert settings("azure") == AZURE
    assert settings("simulate:0.35") == SafetySettings("simulate", 0.35)
    assert azure_is_set()


@pytest.mark.parametrize("text", ["azure", "simulate:0.35", "simulate:0"])
def test_settings_are_shown_as_they_are_said(monkeypatch, text):
    monkeypatch.setenv(ENDPOINT_VARIABLE, "https://somewhere")
    monkeypatch.setenv(KEY_VARIABLE, "key")
    assert str(settings(text)) == text


@pytest.mark.parametrize(
    "text", ["", "off", "simulate", "simulate:", "simulate:-1", "simulate:nan", "azure:1"]
)
def test_what_is_no_setting_is_refused(text):
    with pytest.raises(ConfigError, match="--safety"):
        settings(text)


def test_azure_without_its_settings_is_refused(monkeypatch):
    monkeypatch.delenv(ENDPOINT_VARIABLE, raising=False)
    monkeypatch.setenv(KEY_VARIABLE, "key")
    with pytest.raises(ConfigError, match=ENDPOINT_VARIABLE):
        settings("azure")
    assert not azure_is_set()


def test_azure_without_its_library_names_the_extra(monkeypatch):
    monkeypatch.setenv(ENDPOINT_VARIABLE, "https://somewhere")
    monkeypatch.setenv(KEY_VARIABLE, "key")
    monkeypatch.setitem(sys.modules, "azure.ai.contentsafety", None)
    with pytest.raises(ConfigError, match=r"anynode\[safety\]"):
        settings("azure")


def test_settings_go_to_other_processes_without_a_key():
    assert pickle.loads(pickle.dumps(AZURE)) == AZURE


def test_a_prompts_text_is_all_that_a_person_would_read():
    assert text_of(CHAT) == "Be kind.\nHello?"
    assert text_of(Prompt(text="Once")) == "Once"
    assert text_of(Prompt(token_ids=(1, 2))) == ""
