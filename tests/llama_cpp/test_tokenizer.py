"""The tokenizer inside a GGUF file says what the checkpoint's says."""

from __future__ import annotations

import gc

import pytest

from serving.conversion.gguf_tokenizer import TEXTS
from serving.detokenize import IncrementalDetokenizer
from serving.engines.llama_cpp_tokenizer import GgufTokenizer
from serving.errors import ConfigError, InvalidRequest
from serving.tokenizer import CheckpointTokenizer
from serving.types import Message
from tests.contract.engine_contract import DEMO_MODEL


@pytest.fixture(scope="module")
def own(q8_0):
    return GgufTokenizer(q8_0)


@pytest.fixture(scope="module")
def checkpoint_tokenizer():
    return CheckpointTokenizer(DEMO_MODEL, 2048)


PROMPTS = (
    *TEXTS,
    "",
    " ",
    "<|im_start|>user",
    (Message("system", "Be brief."), Message("user", " What's the capital of France? ")),
    (5, 6, 7),
)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_become_the_same_tokens(own, checkpoint_tokenizer, prompt):
    assert own.encode(prompt) == checkpoint_tokenizer.encode(prompt)


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_tokens_become_the_same_text(own, checkpoint_tokenizer, prompt, skip):
    ids = own.encode(prompt)
    wanted = checkpoint_tokenizer.decode(ids, skip_special_tokens=skip)
    assert own.decode(ids, skip_special_tokens=skip) == wanted


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_piece_by_piece(own, text):
    detokenizer = IncrementalDetokenizer(own, [])
    pieces = [detokenizer.push(token) for token in own.encode(text)]
    assert "".join(pieces) + detokenizer.flush() == text


def test_half_a_character_is_not_shown(own):
    first, *_ = own.encode("日")
    assert own.decode([first]) == "\ufffd"


def test_ids_outside_the_vocabulary_are_refused(own):
    with pytest.raises(InvalidRequest, match="token id 2048 is outside"):
        own.encode((5, 2048))


def test_another_models_tokenizer_is_noticed(own, checkpoint_tokenizer):
    own.check_is(checkpoint_tokenizer, checkpoint_tokenizer.num_tokens)

    class Shifted:
        def token_text(self, token_id):
            return checkpoint_tokenizer.token_text((token_id + 1) % 2048)

    with pytest.raises(ConfigError, match=r"has other tokens .* \(token 0 is '<\|endoftext\|>'"):
        own.check_is(Shifted(), 2048)
    with pytest.raises(ConfigError, match="has 2049 tokens and the file 2048"):
        own.check_is(checkpoint_tokenizer, 2049)


def test_its_file_is_closed_with_it(q8_0, monkeypatch):
    closed = []

    def close(file):
        closed.append(file)

    monkeypatch.setattr("serving.engines.llama_cpp_tokenizer.GgufFile.close", close)
    tokenizer = GgufTokenizer(q8_0)
    del tokenizer
    gc.collect()
    assert len(closed) == 1
