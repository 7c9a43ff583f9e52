"""Texts to the ids an encoder reads: special tokens around them, cut where asked, checked."""

from __future__ import annotations

import json
import shutil

import pytest

from serving.errors import ConfigError, ContextTooLong, InvalidRequest
from serving.text_ids import TextEncoder, check_lengths
from tests.contract.embedder_contract import TINY_ENCODER

CLS, SEP = 2, 3
VOCAB = 200


def encoder(**changes):
    return TextEncoder(
        TINY_ENCODER,
        **{"vocab_size": VOCAB, "lower_case": False, "trust_remote_code": False} | changes,
    )


def test_a_text_stands_between_its_special_tokens():
    [ids] = encoder().encode(["the cat"])
    assert len(ids) == 4
    assert (ids[0], ids[-1]) == (CLS, SEP)


def test_token_ids_stay_as_they_are():
    made = encoder()
    texts = made.encode(["the cat", (7, 8), "sat", (9,)])
    assert texts[1] == [7, 8]
    assert texts[3] == [9]
    assert texts[0] == made.encode(["the cat"])[0]


def test_what_is_cut_keeps_its_last_special_token():
    made = encoder()
    [ids] = made.encode(["the cat sat"])
    assert made.truncate("the cat sat", ids, 3) == [CLS, ids[1], SEP]
    assert made.truncate("the cat sat", ids, 1) == [SEP]
    assert made.truncate("the cat sat", ids, 5) == ids
    assert made.truncate((5, 6, 7), [5, 6, 7], 2) == [5, 6]


def test_what_cannot_be_read_is_named():
    for nothing in ((), (VOCAB,), (-1,)):
        with pytest.raises(InvalidRequest, match="text 1"):
            encoder().encode(["a", nothing])


def test_lengths():
    check_lengths([[1] * 5, [1] * 4], 5)
    with pytest.raises(
        ContextTooLong, match=r"text 1 has 6 tokens, and this model reads 5 at most"
    ):
        check_lengths([[1] * 5, [1] * 6], 5)


def test_the_tokenizer_knows_how_long_texts_may_be():
    assert encoder().max_tokens == 64


def test_a_folder_without_a_tokenizer(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ConfigError, match="no readable tokenizer"):
        TextEncoder(tmp_path, 9, lower_case=False, trust_remote_code=False)


def test_texts_are_made_lower_case_where_the_model_wants_it(tmp_path):
    folder = shutil.copytree(TINY_ENCODER, tmp_path / "cased")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"normalizer": None}))
    cased = TextEncoder(folder, VOCAB, lower_case=False, trust_remote_code=False)
    lower = TextEncoder(folder, VOCAB, lower_case=True, trust_remote_code=False)
    assert cased.encode(["The CAT"]) != cased.encode(["the cat"])
    assert lower.encode(["The CAT"]) == cased.encode(["the cat"])


def test_a_length_in_the_tokenizers_file_cuts_and_pads_nothing(tmp_path):
    """all-MiniLM's tokenizer.json says so; sentence-transformers passes over it, too."""
    folder = shutil.copytree(TINY_ENCODER, tmp_path / "padded")
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    cut = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    pad = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 1,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    changed = tokenizer | {"truncation": cut, "padding": pad}
    (folder / "tokenizer.json").write_text(json.dumps(changed))
    made = TextEncoder(folder, VOCAB, lower_case=False, trust_remote_code=False)
    texts = ["the cat sat on the mat", "a"]
    assert made.encode(texts) == encoder().encode(texts)
