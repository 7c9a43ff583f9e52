"""What a stream's events carry while many run: more tokens each, and all of them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import httpx

from tests.vllm.served import MAX_NUM_SEQS, MODEL, Served

NUM_STREAMS = 2 * MAX_NUM_SEQS
NUM_TOKENS = 60


def events(served: Served, **asked: Any) -> list[dict[str, Any]]:
    """A stream's events, of an answer of NUM_TOKENS tokens with their probabilities."""
    body = {
        "model": MODEL,
        "prompt": "one two three",
        "max_tokens": NUM_TOKENS,
        "ignore_eos": True,
        "logprobs": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
        **asked,
    }
    with httpx.stream("POST", f"{served.url}/v1/completions", json=body, timeout=120) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


def tokens(stream: list[dict[str, Any]], index: int = 0) -> list[int]:
    """How many tokens each event of one choice carries, by the probabilities in it."""
    choices = [choice for event in stream for choice in event["choices"]]
    return [len(each["logprobs"]["tokens"]) for each in choices if each["index"] == index]


def usual(stream: list[dict[str, Any]]) -> float:
    """Tokens of an event, in the middle."""
    return median(tokens(stream))


def is_single(stream: list[dict[str, Any]]) -> bool:
    """Whether tokens come one by one, but for those that vLLM puts together where its server was
    too late for the first: on a machine whose cores all compute, that is not rare.
    """
    return usual(stream) < 3


def texts(stream: list[dict[str, Any]]) -> str:
    return "".join(choice["text"] for event in stream for choice in event["choices"])


def many(served: Served, n: int = 1, **asked: Any) -> list[list[dict[str, Any]]]:
    """What NUM_STREAMS choices bring, n of them in each request."""
    with ThreadPoolExecutor(NUM_STREAMS) as pool:
        return list(pool.map(lambda _: events(served, n=n, **asked), range(NUM_STREAMS // n)))


def test_one_stream_gets_each_token_at_once(served: Served) -> None:
    stream = events(served)
    assert is_single(stream)
    assert stream[-1]["usage"]["completion_tokens"] == NUM_TOKENS


def test_of_many_streams_an_event_carries_several_tokens_and_none_is_lost(served: Served) -> None:
    many(served)  # the first of all begin before anything is known of their pace
    streams = many(served)
    for stream in streams:
        assert sum(tokens(stream)) == stream[-1]["usage"]["completion_tokens"] == NUM_TOKENS
    assert median(tokens(stream)[0] for stream in streams) < 3, "the first waits for others"
    assert max(usual(stream) for stream in streams) > 1, "events carried a token each"


def test_the_text_is_that_of_single_tokens(served: Served) -> None:
    """Asked for by hand, alone and with one seed: nothing but the events differs."""
    singly = events(served, seed=7)
    shared = events(served, seed=7, stream_interval=5)
    assert texts(shared) == texts(singly)
    assert len(shared) < NUM_TOKENS / 3


def test_each_of_several_choices_is_whole(served: Served) -> None:
    for stream in many(served, n=2):
        assert [sum(tokens(stream, index)) for index in (0, 1)] == [NUM_TOKENS, NUM_TOKENS]


def test_who_asks_for_single_tokens_gets_them(served: Served) -> None:
    assert all(is_single(stream) for stream in many(served, stream_interval=1))
    assert not any(is_single(stream) for stream in many(served, stream_interval=5))
