"""serving.gpu.coalesce: fewer writes, the same bytes."""

from __future__ import annotations

import asyncio
from itertools import cycle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.gpu.coalesce import gathering

EVENTS = [(b"content-type", b"text/event-stream; charset=utf-8")]


def written(pieces, *, pause_s=0.0, window_s=0.02, headers=EVENTS):
    """What arrives of `pieces`."""
    arrived = []

    async def transport(message):
        await asyncio.sleep(0)
        arrived.append(message)

    async def write():
        window = window_s if callable(window_s) else lambda: window_s
        with gathering(transport, window) as send:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                await asyncio.sleep(pause_s)
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    asyncio.run(write())
    return arrived


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=5), max_size=20), st.sampled_from([0.0, 0.001]))
def test_nothing_is_lost_or_reordered_and_the_end_comes_once(pieces, pause_s):
    start, *bodies = written(pieces, pause_s=pause_s, window_s=0.002)
    assert start["type"] == "http.response.start"
    assert b"".join(body["body"] for body in bodies) == b"".join(pieces)
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


def test_the_first_leaves_at_once_and_the_others_together():
    bodies = written([b"1", b"2", b"3", b"4"], window_s=60)[1:]
    assert [body["body"] for body in bodies] == [b"1", b"234"]


def test_the_window_is_asked_for_each_time():
    windows = iter([0.0, 0.0, 60, 60])
    bodies = written([b"1", b"2", b"3", b"4", b"5"], window_s=lambda: next(windows, 60))[1:]
    assert [body["body"] for body in bodies] == [b"1", b"2", b"3", b"45"]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.binary(max_size=5), max_size=30),
    st.lists(st.sampled_from([0.0, 0.001]), min_size=1, max_size=9),
)
def test_a_window_that_comes_and_goes_loses_nothing(pieces, windows):
    turns = cycle(windows)  # how often it is asked for depends on the machine's pace
    _, *bodies = written(pieces, pause_s=0.0005, window_s=lambda: next(turns))
    assert b"".join(body["body"] for body in bodies) == b"".join(pieces)
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


def test_other_answers_pass_as_they_are():
    bodies = written([b"1", b"2"], headers=[(b"content-type", b"application/json")])[1:]
    assert [body["body"] for body in bodies] == [b"1", b"2", b""]


@pytest.mark.parametrize("window_s", [0.0, 0.001])
def test_a_client_that_left_is_heard_of(window_s):
    async def transport(message):
        if message["type"] == "http.response.body":
            raise OSError("gone")

    async def write():
        with gathering(transport, lambda: window_s) as send:
            await send({"type": "http.response.start", "status": 200, "headers": EVENTS})
            while True:
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
                await asyncio.sleep(0)

    with pytest.raises(OSError, match="gone"):
        asyncio.run(write())
