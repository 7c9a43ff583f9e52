"""Both arms answer every kind of text, and drafts are right where a text repeats itself."""

from __future__ import annotations

from pathlib import Path

from bench import decoder
from bench.speculation import DRAFTS, PLAIN, TEXTS, measure

DEMO_MODEL = Path(__file__).parents[2] / "models" / "anynode-demo"


def test_drafts_are_right_where_the_text_repeats_itself(monkeypatch):
    monkeypatch.setattr(decoder, "BANDWIDTH_BYTES", 1 << 20)
    answers = measure(DEMO_MODEL, rounds=1, num_threads=2)
    assert set(answers) == {(text, arm) for text in TEXTS for arm in (PLAIN, DRAFTS)}
    for (text, arm), [answer] in answers.items():
        assert answer.sample.tokens_per_s > 0
        if arm == PLAIN:
            assert answer.num_draft_tokens == 0
        elif text == "repeats itself":
            assert answer.num_accepted_tokens == answer.num_draft_tokens
