"""How the distance between a checkpoint and its graph is measured and told."""

from __future__ import annotations

import numpy as np
import pytest

from serving.conversion.check import ANSWER_TOKENS, Reference, check, compare, greedy
from serving.errors import ConfigError

WANTED = np.random.default_rng(0).standard_normal((20, 96)).astype(np.float32)


def test_the_same_logits_do_not_deviate():
    assert compare(WANTED, WANTED) == (0, 1)


def test_the_error_is_a_share_of_the_spread():
    assert compare(3 * WANTED + 0.5, 3 * WANTED)[0] == pytest.approx(0.5 / 3, rel=0.02)


def test_agreement_counts_positions_with_the_same_likeliest_token():
    got = WANTED.copy()
    got[:5] = -got[:5]
    assert compare(got, WANTED)[1] == 0.75


def next_number(token_ids):
    """A model that counts: after each token t it says t + 1."""
    return np.eye(96, dtype=np.float32)[(token_ids + 1) % 96]


def say(token_ids):
    return " ".join(map(str, token_ids))


def reference():
    text, prompt = np.arange(20), np.array([5, 6])
    return Reference(text, next_number(text), (prompt,), (greedy(next_number, prompt),), say)


def test_greedy_answers_go_on_from_the_prompt():
    assert greedy(next_number, np.array([5, 6])).tolist() == list(range(7, 7 + ANSWER_TOKENS))


def test_a_model_that_says_the_same_passes_and_says_so():
    deviation = check(reference(), next_number, "int8")
    assert (deviation.error, deviation.agreement) == (0, 1)
    assert "1 of 1 greedy answers equal" in str(deviation)
    assert deviation.different_answers() == []


def test_where_its_greedy_answer_differs_both_are_shown():
    def tired(token_ids):
        logits = next_number(token_ids)
        if token_ids[-1] == 8:
            logits[-1] = np.eye(96)[8]
        return logits

    deviation = check(reference(), tired, "int8")
    (line,) = deviation.different_answers()
    assert line.startswith("'5 6' goes on '7 8 9 ")
    assert "and '7 8 8 8" in line


def test_another_model_is_refused():
    with pytest.raises(ConfigError, match="does not answer as its checkpoint does"):
        check(reference(), lambda token_ids: -next_number(token_ids), "int8")


def test_fewer_bits_may_cost_more():
    noise = np.random.default_rng(0).standard_normal((20, 96)).astype(np.float32) * 0.03

    def noisy(token_ids):
        return next_number(token_ids) + noise[: len(token_ids)]

    assert check(reference(), noisy, "int4").error > 0.25
    with pytest.raises(ConfigError, match="a finer data type"):
        check(reference(), noisy, "int8")
