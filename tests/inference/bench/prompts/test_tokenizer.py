"""Texts and ids of exact length, with every kind of tokenizer."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.prompts.tokenizer import BenchTokenizer
from serving.errors import ConfigError
from tests.inference.bench.prompts import tokenizers

FOLDER = "models/anynode-demo"
DEMO = BenchTokenizer(FOLDER)


@pytest.fixture(scope="module", params=tokenizers.KINDS)
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    return BenchTokenizer(tokenizers.KINDS[request.param](folder))


@pytest.mark.parametrize("num_tokens", [0, 1, 2, 3, 17, 300])
def test_a_text_has_exactly_the_length_asked_for(tokenizer, num_tokens):
    for key in "abcdefgh":
        assert tokenizer.count(tokenizer.random_text(num_tokens, key)) == num_tokens


def test_a_head_counts_and_stays_whole(tokenizer):
    head = tokenizer.random_text(20, "head")
    for num_tokens in range(21, 60):
        text = tokenizer.random_text(num_tokens, "own", head=head)
        assert text.startswith(f"{head} ")
        assert tokenizer.count(text) == num_tokens


@given(st.integers(0, 300), st.text())
def test_a_text_belongs_to_its_key_in_every_process(num_tokens, key):
    text = DEMO.random_text(num_tokens, key)
    assert DEMO.count(text) == num_tokens
    assert text == DEMO.random_text(num_tokens, key)


def test_another_process_makes_the_same(tokenizer):
    again = pickle.loads(pickle.dumps(tokenizer))
    assert again.random_text(50, "key") == tokenizer.random_text(50, "key")
    assert again.random_ids(50, "key") == tokenizer.random_ids(50, "key")


def test_random_ids_are_ordinary_tokens_of_all_the_vocabulary(tokenizer):
    read = tokenizer._tokenizer
    ids = set(tokenizer.random_ids(20_000, "key"))
    special = {"<unk>", "<s>", "<|end|>", "[UNK]", "[PAD]"}
    assert not {read.id_to_token(number) for number in ids} & special
    assert len(ids) == read.get_vocab_size() - len(special & read.get_vocab().keys())


def test_ids_are_not_texts_like_a_byte_or_a_place_for_later(tmp_path):
    kept = {"<0x0A>": 0, "[unused7]": 1, "word": 2}
    tokenizers.words(tmp_path, kept)
    assert set(BenchTokenizer(str(tmp_path)).random_ids(50, "key")) == {2}


def test_a_length_that_no_text_has_is_refused_with_a_way_out(tmp_path):
    tokenizer = BenchTokenizer(tokenizers.letters_only(tmp_path))
    with pytest.raises(ConfigError, match=r"exactly 2 tokens.*--route completions"):
        tokenizer.random_text(2, "key")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"--tokenizer: there is no .*tokenizer\.json"):
        BenchTokenizer(str(tmp_path))
    with pytest.raises(ConfigError, match="--tokenizer: there is no owner/name"):
        BenchTokenizer("owner/name")


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"--tokenizer: .* cannot be read"):
        BenchTokenizer(str(tmp_path))
