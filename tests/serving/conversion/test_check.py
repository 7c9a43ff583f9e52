"""How the distance between a checkpoint and its graph is measured and told."""

from __future__ import annotations

import numpy as np
import pytest

from serving.conversion.check import Deviation, check, compare
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


def test_another_model_is_refused(tmp_path, monkeypatch):
    reader, manifest = "_read_with_decoder", "read_manifest"
    module = "serving.conversion.check."
    monkeypatch.setattr(module + manifest, lambda folder: type("M", (), {"max_model_len": 99}))
    monkeypatch.setattr(module + reader, lambda folder, token_ids: -WANTED)
    monkeypatch.setattr(module + "read_with_transformers", lambda *_: (WANTED, np.arange(20)))
    with pytest.raises(ConfigError, match="does not answer as its checkpoint does"):
        check(tmp_path, tmp_path / "onnx")
