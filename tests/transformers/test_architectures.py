"""Every architecture answers through its decoder as it does when asked without any cache.

Rows of unequal length, read in pieces, join and leave while others decode; all have outgrown the
windows of those that have one.
"""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest
import torch

from serving.engines.transformers_choice import open_decoder
from serving.engines.transformers_decoder import RowsDecoder
from serving.engines.transformers_own_cache import OwnCacheDecoder
from serving.engines.transformers_weights import load_model
from serving.errors import ConfigError
from tests.transformers.checkpoints import (
    ROW_BY_ROW,
    TOGETHER,
    VOCAB,
    WINDOW,
    saved,
    tiny_causal,
)

NUM_ROWS = 5
MAX_LEN = 64
TOLERANCE = 2e-4  # of the logits' spread; rounding in float32 costs a few millionths


class Text:
    """One row's tokens, and what the model makes of them on its own."""

    def __init__(self, model, length, seed):
        self.tokens = np.random.default_rng(seed).integers(3, VOCAB, length)
        self._model = model

    def wanted(self):
        return self._model.read(torch.from_numpy(self.tokens)).numpy()

    def grow(self, logits):
        """The likeliest next token; returns it, and checks the logits that chose it."""
        wanted = self.wanted()[-1]
        np.testing.assert_allclose(logits, wanted, rtol=0, atol=TOLERANCE * wanted.std())
        assert logits.argmax() == wanted.argmax()
        self.tokens = np.append(self.tokens, logits.argmax())


def join(decoder, texts, model, length):
    """Read a text in pieces into the row after the others, and take its first token."""
    text, row = Text(model, length, seed=length), len(texts)
    middle = length // 2
    parts = [text.tokens[:middle], text.tokens[middle:]]
    first = decoder.prefill(row, parts[0], 0, all_logits=True).copy()
    rest = decoder.prefill(row, parts[1], middle, all_logits=True).copy()
    wanted = text.wanted()
    tolerance = TOLERANCE * wanted.std()
    np.testing.assert_allclose(np.concatenate([first, rest]), wanted, rtol=0, atol=tolerance)
    text.grow(rest[-1])
    texts.append(text)


def step(decoder, texts):
    last = np.array([text.tokens[-1] for text in texts])
    lengths = np.array([len(text.tokens) - 1 for text in texts])
    for text, logits in zip(texts, decoder.decode(last, lengths).copy(), strict=True):
        text.grow(logits)


def leave(decoder, texts, row):
    """The last row closes the gap."""
    last = len(texts) - 1
    if row != last:
        decoder.move_row(last, row, len(texts[last].tokens) - 1)
        texts[row] = texts[last]
    decoder.release_row(last)
    del texts[last]


def check(decoder, model):
    texts = []
    for length in (20, 3, 11):
        join(decoder, texts, model, length)
        step(decoder, texts)
    for _ in range(3):
        step(decoder, texts)
    leave(decoder, texts, 0)
    step(decoder, texts)
    join(decoder, texts, model, 30)
    leave(decoder, texts, 2)
    join(decoder, texts, model, 7)
    for _ in range(3):
        step(decoder, texts)


@pytest.mark.parametrize("model_type", TOGETHER)
def test_rows_decode_together(model_type):
    model = tiny_causal(model_type, **TOGETHER[model_type])
    decoder = open_decoder(model, NUM_ROWS, MAX_LEN)
    assert isinstance(decoder, RowsDecoder)
    check(decoder, model)


@pytest.mark.parametrize("model_type", ROW_BY_ROW)
def test_rows_decode_one_by_one(model_type, caplog):
    reading, sizes = ROW_BY_ROW[model_type]
    model = tiny_causal(model_type, **sizes)
    with caplog.at_level(logging.INFO):
        decoder = open_decoder(model, NUM_ROWS, MAX_LEN)
    assert isinstance(decoder, OwnCacheDecoder)
    assert decoder.reading.name == reading
    assert "row by row" in caplog.text
    assert "not all rows together: " in caplog.text  # and why
    check(decoder, model)


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_a_model_that_reads_both_ways_is_refused(model_type):
    with pytest.raises(ConfigError, match="reads text in both directions"):
        open_decoder(tiny_causal(model_type), NUM_ROWS, MAX_LEN)


def test_an_encoder_that_was_made_a_decoder_is_not():
    model = tiny_causal("bert", is_decoder=True)
    check(open_decoder(model, NUM_ROWS, MAX_LEN), model)


@pytest.mark.parametrize(("num_rows", "max_len"), [(2, 64), (5, 1), (2, 3), (2, 9)])
def test_the_choice_needs_little_room(num_rows, max_len):
    assert isinstance(open_decoder(tiny_causal("llama"), num_rows, max_len), RowsDecoder)
    state_space = tiny_causal("mamba2", **ROW_BY_ROW["mamba2"][1])
    assert isinstance(open_decoder(state_space, num_rows, max_len), OwnCacheDecoder)


OWN_CODE = """
from transformers import MistralConfig, MistralForCausalLM

class OwnConfig(MistralConfig):
    model_type = "own"

class OwnForCausalLM(MistralForCausalLM):
    config_class = OwnConfig
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """Where transformers copies such code to, for these tests only."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("modules"))
        patch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", folder)
        patch.setattr(sys, "path", [*sys.path])
        yield


@pytest.mark.usefixtures("modules")
@pytest.mark.parametrize(("window", "kind"), [(None, RowsDecoder), (WINDOW, OwnCacheDecoder)])
def test_code_that_comes_with_a_checkpoint_masks_its_own_windows(tmp_path, window, kind):
    saved(tmp_path, "mistral", head_dim=8, sliding_window=window)
    (tmp_path / "own.py").write_text(OWN_CODE)
    config = json.loads((tmp_path / "config.json").read_text()) | {
        "model_type": "own",
        "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnForCausalLM"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load_model(tmp_path, "float32", trust_remote_code=True)
    assert model.name == "OwnForCausalLM"
    decoder = open_decoder(model, NUM_ROWS, MAX_LEN)
    assert isinstance(decoder, kind)
    check(decoder, model)
