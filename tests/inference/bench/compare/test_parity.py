from __future__ import annotations

import pytest

from inference.bench.compare.parity import Alike, ArmFacts, MayDiffer, checks, remarks
from tests.inference.bench.compare.samples import sample_run

SENT = {"temperature": 0, "ignore_eos": True}


def facts(**changed):
    """Two arms; `changed` are facts of the second one."""
    known = {"model": "m", "sent": SENT, "version": {"version": "1.0"}}
    return {"bare": ArmFacts(**known), "ours": ArmFacts(**{**known, **changed})}


def two(**changed):
    return [sample_run("bare", answers_digest="a"), sample_run("ours", **changed)]


def failing(arms, runs, alike=None):
    return {each.name: each.detail for each in checks(arms, runs, alike or Alike()) if not each.ok}


def test_arms_that_did_the_same_are_alike():
    assert failing(facts(), two(answers_digest="a")) == {}
    assert failing(facts(sent={**SENT, "temperature": 0.0}), two()) == {}
    names = [check.name for check in checks(facts(), two(), Alike())]
    assert names == [
        "model",
        "fields sent",
        "requests",
        "errors",
        "prompt tokens",
        "output tokens",
    ]


@pytest.mark.parametrize(
    ("arms", "runs", "name", "detail"),
    [
        (facts(model="other"), two(), "model", "bare m, ours other"),
        (facts(sent={**SENT, "top_p": 1, "temperature": 1}), two(), "fields sent", "temperature"),
        (facts(), two(succeeded=63), "requests", "concurrency 8, round 1: bare 64, ours 63"),
        (facts(), two(prompt_tokens=33), "prompt tokens", "bare 32, ours 33"),
        (facts(), two(output_tokens=15), "output tokens", "bare 16, ours 15"),
        (facts(), two(succeeded=60, failed=4), "errors", "bare 0.0%, ours 6.2%"),
    ],
)
def test_a_difference_is_named(arms, runs, name, detail):
    found = failing(arms, runs)
    assert list(found) == [name]
    assert detail in found[name]


def test_what_one_arm_does_not_say_is_not_compared():
    assert failing(facts(model=None, sent={}, version={}), two(output_tokens=3)) == {}


def test_models_may_differ_where_they_are_mapped():
    alike = Alike(models=False)
    assert failing(facts(model="other"), two(), alike) == {}
    assert "model: bare m, ours other" in remarks(facts(model="other"), two(), alike)


@pytest.mark.parametrize(
    ("optional", "arms", "runs", "detail"),
    [
        (MayDiffer.ANSWERS, facts(), two(answers_digest="b"), "identical in 0 of 1 runs"),
        (MayDiffer.VERSIONS, facts(version={"version": "1.1"}), two(), "bare 1.0, ours 1.1"),
    ],
)
def test_answers_and_versions_are_judged_only_if_asked(optional, arms, runs, detail):
    assert failing(arms, runs) == {}
    assert any(detail in remark for remark in remarks(arms, runs, Alike()))
    alike = Alike(must_match=[optional])
    assert detail in failing(arms, runs, alike)[optional]
    assert not any(detail in remark for remark in remarks(arms, runs, alike))


def test_what_must_match_but_is_not_known_is_no_match():
    alike = Alike(must_match=[MayDiffer.VERSIONS])
    assert "versions" in failing(facts(version={}), two(), alike)


def test_answers_are_compared_at_temperature_0_only():
    warm = {name: ArmFacts(sent={"temperature": 1}) for name in ("bare", "ours")}
    assert remarks(warm, two(answers_digest="b"), Alike()) == []


def test_arms_where_everything_failed_do_not_break_the_checks():
    runs = [sample_run(arm, succeeded=0, failed=3, ttft_ms=None) for arm in ("bare", "ours")]
    assert failing(facts(), runs) == {}
    assert failing(facts(), []) == {}
