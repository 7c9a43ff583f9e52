"""Chunks fit the running streams' patience and are never too short for the usual kernels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.prefill_pace import (
    MAX_PREFILL_CHUNK,
    MIN_LAST_CHUNK,
    MIN_PREFILL_CHUNK,
    PREFILL_STALL_STEPS,
    PrefillPace,
    chunk_size,
)


@given(num_unread=st.integers(1, 5000), allowance=st.integers(-600, 600))
def test_no_chunk_is_short_unless_the_prompt_is(num_unread, allowance):
    size = chunk_size(num_unread, allowance)
    rest = num_unread - size
    assert rest == 0 or rest >= MIN_LAST_CHUNK
    assert size >= MIN_LAST_CHUNK or size == num_unread


def test_the_allowance_takes_as_long_as_a_few_decode_steps():
    pace = PrefillPace()
    assert pace.allowance() == MIN_PREFILL_CHUNK
    for _ in range(50):
        pace.decoded(0.020)
        pace.prefilled(100, 0.100)
    assert abs(pace.allowance() - PREFILL_STALL_STEPS * 20) <= 1


def test_the_allowance_stays_within_bounds():
    slow, fast = PrefillPace(), PrefillPace()
    slow.decoded(0.001)
    slow.prefilled(1, 1.0)
    fast.decoded(1.0)
    fast.prefilled(1000, 0.001)
    assert slow.allowance() == MIN_PREFILL_CHUNK
    assert fast.allowance() == MAX_PREFILL_CHUNK
