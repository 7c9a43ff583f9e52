"""How the distance between a checkpoint and its graph is measured and told."""

from __future__ import annotations

import numpy as np
import pytest

from serving.conversion.check import Deviation, check_model, compare
from serving.errors import ConfigError

WANTED = np.random.default_rng(0).standard_normal((20, 96)).astype(np.float32)


def test_the_same_logits_do_not_deviate():
    assert compare(WANTED, WANTED) == Deviation(error=0, agreement=1)


def test_the_error_is_a_share_of_the_spread():
    assert compare(3 * WANTED + 0.5, 3 * WANTED).error == pytest.approx(0.5 / 3, rel=0.02)


def test_agreement_counts_positions_with_the_same_likeliest_token():
    got = WANTED.copy()
    got[:5] = -got[:5]
    assert compare(got, WANTED).agreement == 0.75


class Opposite:
    """A model that says the contrary of WANTED."""

    max_model_len = len(WANTED)

    def prefill(self, row, token_ids, start, *, all_logits):
        return -WANTED[: len(token_ids)]

    def decode(self, token_ids, lengths):
        return -WANTED[lengths]


def test_another_model_is_refused(tmp_path, monkeypatch):
    module = "serving.conversion.check."
    read = (WANTED, np.arange(len(WANTED)))
    monkeypatch.setattr(module + "_read_with_transformers", lambda *_: read)
    with pytest.raises(ConfigError, match="does not answer as its checkpoint does"):
        check_model(tmp_path, Opposite())
