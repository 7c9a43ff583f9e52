"""serving.gpu.stream_pace: how many tokens an event carries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.gpu.stream_pace import (
    BUSY_STREAMS,
    CHAT,
    FIELD,
    LONGEST_WINDOW_S,
    MOST_TOKENS,
    StreamPace,
    busy_window_s,
    may_share_events,
    tokens_within,
)

COMPLETIONS = "/v1/completions"
KNOWN = frozenset({"stream", FIELD})
STREAM = {"stream": True}


@given(st.integers(0, 10_000))
def test_the_window_grows_with_the_streams_up_to_an_end(num_running):
    window_s = busy_window_s(num_running)
    assert window_s <= busy_window_s(num_running + 1) <= LONGEST_WINDOW_S
    assert (window_s > 0) == (num_running >= BUSY_STREAMS)


@given(st.floats(0, 10), st.floats(0, 10))
def test_an_event_waits_for_no_token_beyond_its_window(window_s, gap_s):
    tokens = tokens_within(window_s, gap_s)
    assert 1 <= tokens <= MOST_TOKENS
    assert tokens == 1 or tokens * gap_s <= window_s * (1 + 1e-9)


@given(st.lists(st.lists(st.floats(0.001, 1), max_size=5), max_size=50))
def test_what_is_known_of_the_gaps_lies_among_those_heard(steps):
    pace = StreamPace(lambda: 100)
    for gaps_s in steps:
        pace.hear(gaps_s)
    heard = [gap_s for gaps_s in steps for gap_s in gaps_s]
    if not heard:
        assert pace.stream_interval() == 1
        return
    slowest = tokens_within(LONGEST_WINDOW_S, max(heard))
    fastest = tokens_within(LONGEST_WINDOW_S * (1 + 1e-9), min(heard))
    assert slowest - 1 <= pace.stream_interval() <= fastest


def test_the_stream_that_begins_counts_itself():
    running = [BUSY_STREAMS - 2]
    pace = StreamPace(lambda: running[0])
    pace.hear([0.004] * 6)
    assert pace.stream_interval() == 1
    running[0] += 1
    assert pace.stream_interval() == 3


def test_the_pace_follows_the_tokens():
    pace = StreamPace(lambda: 64)
    pace.hear([0.005])
    assert pace.stream_interval() == 10
    for _ in range(60):
        pace.hear([0.025])
    assert pace.stream_interval() in (1, 2)  # 25 ms are approached from below


def test_writes_gather_while_many_run_unless_the_events_have_waited():
    running = [1]
    pace = StreamPace(lambda: running[0])
    singly, decided = pace.window_s(decided=False), pace.window_s(decided=True)
    assert singly() == decided() == 0
    running[0] = 100
    assert singly() == LONGEST_WINDOW_S
    assert decided() == 0


def test_behind_a_proxy_that_pays_for_each_write_they_always_gather():
    pace = StreamPace(lambda: 1, coalesce_ms=50)
    assert pace.window_s(decided=False)() == pace.window_s(decided=True)() == 0.05


@pytest.mark.parametrize(
    ("path", "asked", "parses_chat", "may"),
    [
        (COMPLETIONS, STREAM, True, True),
        (CHAT, STREAM, False, True),
        (CHAT, STREAM, True, False),
        (CHAT, {**STREAM, "tools": [{}]}, False, False),
        (CHAT, {**STREAM, "tools": []}, False, True),
        (COMPLETIONS, {}, False, False),
        (COMPLETIONS, {"stream": "yes"}, False, False),
        (COMPLETIONS, {**STREAM, FIELD: 1}, False, False),
        (COMPLETIONS, {**STREAM, FIELD: None}, False, True),
    ],
)
def test_who_may_be_sent_several_at_once(path, asked, parses_chat, may):
    assert may_share_events(path, asked, KNOWN, parses_chat=parses_chat) is may


def test_a_vllm_that_does_not_know_the_field_is_not_sent_it():
    assert not may_share_events(COMPLETIONS, STREAM, frozenset({"stream"}), parses_chat=False)
