"""Sampling follows each request's own rules and is blind to the other rows of the batch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.sampling import NUCLEUS_CANDIDATES, RowSampler, likeliest, log_softmax, sample
from serving.types import SamplingParams

VOCAB_SIZE = 3000


def make_logits(rows=1, seed=0, spread=2.0):
    return np.random.default_rng(seed).normal(0, spread, (rows, VOCAB_SIZE)).astype(np.float32)


def sampler(index=0, prompt=(), never_yet=(), **params):
    return RowSampler(SamplingParams(**params), prompt, index, never_yet)


def draw_many(logits, count, **params):
    rules = sampler(seed=1, **params)
    return np.array([sample(logits.copy(), [rules])[0] for _ in range(count)])


def reference_probabilities(logits, *, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0):
    """The same rules in the plainest words, one row, float64."""
    scaled = logits.astype(np.float64) / temperature
    order = sorted(range(len(scaled)), key=lambda token: (-scaled[token], token))
    weights = np.exp(scaled - scaled.max())
    kept = order[: top_k or len(order)]
    total, before, nucleus = weights[kept].sum(), 0.0, []
    for token in kept:
        if before < top_p and weights[token] >= min_p:
            nucleus.append(token)
        before += weights[token] / total
    result = np.zeros(len(scaled))
    result[nucleus] = weights[nucleus] / weights[nucleus].sum()
    return result


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"temperature": 0.5},
        {"top_k": 7},
        {"top_p": 0.6},
        {"top_k": 50, "top_p": 0.5, "temperature": 1.4},
        {"min_p": 0.2},
        {"top_p": 0.9, "min_p": 0.1},
    ],
    ids=str,
)
def test_tokens_come_with_the_probabilities_of_the_plain_rules(rules):
    logits = make_logits(spread=4.0)
    expected = reference_probabilities(logits[0], **rules)
    tokens = draw_many(logits, 4000, **rules)
    assert (expected[tokens] > 0).all(), "a token that the rules exclude"
    seen = np.bincount(tokens, minlength=VOCAB_SIZE) / len(tokens)
    assert np.abs(seen - expected).sum() < 0.25  # total variation of 4000 draws, twice over
    likely = expected > 0.05
    assert np.abs(seen - expected)[likely].max(initial=0) < 0.04


def test_top_p_over_a_flat_distribution_sorts_more_than_the_first_candidates():
    flat = np.zeros((1, VOCAB_SIZE), np.float32)
    tokens = draw_many(flat, 300, top_p=0.9)
    assert tokens.max() > NUCLEUS_CANDIDATES
    assert tokens.max() <= 0.9 * VOCAB_SIZE


rules_of_a_row = st.fixed_dictionaries(
    {
        "temperature": st.sampled_from([0.0, 1e-7, 0.3, 1.0, 2.0]),
        "top_p": st.sampled_from([1.0, 0.95, 0.2]),
        "top_k": st.sampled_from([0, 1, 40, 5000]),
        "min_p": st.sampled_from([0.0, 0.02]),
        "seed": st.integers(0, 2**64),
        "presence_penalty": st.sampled_from([0.0, -2.0]),
        "repetition_penalty": st.sampled_from([1.0, 1.5]),
    }
)


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(rules_of_a_row, min_size=1, max_size=6), seed=st.integers(0, 99))
def test_a_row_draws_the_same_alone_and_among_others(rows, seed):
    logits = make_logits(len(rows), seed)
    together = [sampler(prompt=(1, 2), **rules) for rules in rows]
    alone = [sampler(prompt=(1, 2), **rules) for rules in rows]
    for _ in range(3):
        batch = sample(logits.copy(), together)
        single = [sample(logits[[row]].copy(), [alone[row]])[0] for row in range(len(rows))]
        assert batch.tolist() == single


def test_greedy_takes_the_likeliest_and_the_lowest_of_equals():
    logits = make_logits(2)
    logits[1, [7, 9]] = 100.0
    tokens = sample(logits.copy(), [sampler(temperature=0.0), sampler(temperature=0.0)])
    assert tokens.tolist() == [int(logits[0].argmax()), 7]


def test_penalties_are_openais_and_the_repetition_penalty_sees_the_prompt():
    rules = sampler(
        prompt=(5,), presence_penalty=0.5, frequency_penalty=0.25, repetition_penalty=2.0
    )
    rules.count(3)
    rules.count(3)
    logits = np.zeros(10, np.float32)
    logits[[3, 5, 6]] = [4.0, -4.0, 4.0]
    rules.change(logits)
    assert logits[3] == pytest.approx(4.0 / 2.0 - 0.5 - 2 * 0.25)
    assert logits[5] == pytest.approx(-8.0)
    assert logits[6] == 4.0


def test_bias_bans_and_forces_tokens():
    logits = make_logits()
    best = int(logits.argmax())
    banned = sampler(temperature=0.0, logit_bias={best: -100.0})
    forced = sampler(temperature=0.0, logit_bias={42: 100.0})
    assert sample(logits.copy(), [banned])[0] != best
    assert sample(logits.copy(), [forced])[0] == 42


def test_min_tokens_keeps_the_end_away_only_at_first():
    rules = sampler(temperature=0.0, min_tokens=2, never_yet=(1,))
    logits = np.array([[0.0, 9.0, 5.0]], np.float32)
    assert [sample(logits.copy(), [rules])[0] for _ in range(3)] == [2, 2, 1]


def test_unseeded_rows_differ():
    logits = np.zeros((8, VOCAB_SIZE), np.float32)
    assert len(set(sample(logits, [sampler() for _ in range(8)]).tolist())) > 1


@given(count=st.integers(1, 50), seed=st.integers(0, 20))
def test_likeliest_are_sorted_with_ties_by_token(count, seed):
    logits = np.random.default_rng(seed).integers(0, 5, (2, 40)).astype(np.float32)
    for row, ids in zip(logits, likeliest(logits, count), strict=True):
        values = row[ids].tolist()
        assert values == sorted(row.tolist(), reverse=True)[: len(ids)]
        assert len(set(ids.tolist())) == min(count, 40)


def test_logprobs_add_up_to_one():
    assert np.exp(log_softmax(make_logits(3))).sum(axis=1) == pytest.approx(1.0, abs=1e-4)
