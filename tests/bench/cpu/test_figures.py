"""Figures, checked where they are known by hand."""

from __future__ import annotations

import pytest

from bench.cpu import figures
from tests.bench.cpu.samples import ceiling, results, runs

FOUND = results(
    runs("a", 1, prefill_s=1.0, decode_s=2.0, ttft_ms=50.0),
    runs("a", 2, prefill_s=2.0, decode_s=4.0, ttft_ms=70.0),
    runs("b", 1, prefill_s=4.0, decode_s=8.0),
    ceilings=[ceiling("a", 1, ops_per_s=16_000.0), ceiling("a", 2, bytes_per_s=50.0)],
)


def test_further_tokens_take_what_the_first_ones_did_not():
    assert figures.figure(FOUND, "a", 8, "prefill") == {1: 800.0, 2: 400.0}
    assert figures.figure(FOUND, "a", 8, "decode") == {1: 40.0, 2: 20.0}
    assert figures.figure(FOUND, "a", 8, "ttft_ms") == {1: 50.0, 2: 70.0}


def test_what_was_not_measured_has_no_figure():
    assert figures.figure(FOUND, "b", 8, "decode") == {1: 10.0}
    assert figures.figure(FOUND, "a", 1, "prefill") == {}
    assert figures.figure(FOUND, "c", 8, "ttft_ms") == {}


@pytest.mark.parametrize("decode_s", [0.0, -0.5])
def test_answers_as_fast_as_their_first_token_are_noise(decode_s):
    noise = results(runs("a", 1, decode_s=decode_s))
    assert figures.figure(noise, "a", 8, "decode") == {}
    assert figures.figure(noise, "a", 8, "prefill") == {1: 800.0}


def test_an_interrupted_round_has_only_what_was_measured():
    short, _ = runs("a", 1)
    assert figures.figure(results([short]), "a", 8, "decode") == {}
    assert figures.figure(results([short]), "a", 8, "prefill") == {1: 800.0}


def test_the_roof_is_that_of_the_arms_own_rounds():
    assert figures.roof(FOUND, "a", 8, "decode") == {1: 80.0, 2: 40.0}
    assert figures.roof(FOUND, "a", 8, "decode", bits=4) == {1: 160.0, 2: 80.0}
    assert figures.roof(FOUND, "a", 8, "prefill")[1] == 1000.0
    assert figures.roof(FOUND, "a", 1, "decode") == {}
    assert figures.roof(FOUND, "b", 8, "decode") == {}


def test_ratios_are_taken_within_rounds():
    assert figures.ratios({1: 10.0, 2: 30.0}, {2: 10.0, 3: 5.0}) == {2: 3.0}


def test_the_best_has_the_highest_median():
    assert figures.best(FOUND, ("b", "a", "c"), 8, "decode") == "a"
    assert figures.best(FOUND, ("c",), 8, "decode") is None
