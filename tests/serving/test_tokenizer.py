"""The demo checkpoint's tokenizer, and what is said of prompts and folders that cannot work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from serving.errors import ConfigError, InvalidRequest
from serving.tokenizer import CheckpointTokenizer
from serving.types import Message

DEMO_MODEL = Path(__file__).parents[2] / "models" / "anynode-demo"
VOCAB_SIZE = json.loads((DEMO_MODEL / "config.json").read_text())["vocab_size"]


@pytest.fixture(scope="module")
def tokenizer():
    return CheckpointTokenizer(DEMO_MODEL, VOCAB_SIZE)


@pytest.mark.parametrize(
    "text", ["What is the capital of France?", " two  spaces ", "日本 🎈\n\té"]
)
def test_text_survives_the_way_to_tokens_and_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text


def test_the_texts_of_single_tokens_make_the_whole(tokenizer):
    text = "What is the capital of France?"
    assert "".join(map(tokenizer.token_text, tokenizer.encode(text))) == text


def test_a_chat_ends_where_the_assistant_begins(tokenizer):
    turns = (Message("system", "Be brief."), Message("user", "Hello"))
    text = tokenizer.decode(tokenizer.encode(turns), skip_special_tokens=False)
    assert "Be brief." in text
    assert text.index("Hello") > text.index("Be brief.")
    assert "assistant" in text[text.index("Hello") :]


def test_token_ids_are_taken_as_they_are(tokenizer):
    assert tokenizer.encode((5, 6, 7)) == [5, 6, 7]
    with pytest.raises(InvalidRequest, match=f"token id {VOCAB_SIZE} is outside"):
        tokenizer.encode((5, VOCAB_SIZE))


def test_the_end_of_text_is_known(tokenizer):
    (end,) = tokenizer.eos_token_ids
    assert tokenizer.decode([end]) == ""
    assert tokenizer.token_text(end)


def test_messages_the_template_refuses_are_the_callers_mistake(tokenizer, monkeypatch):
    monkeypatch.setattr(
        tokenizer._tokenizer, "chat_template", "{{ raise_exception('roles must alternate') }}"
    )
    with pytest.raises(InvalidRequest, match="roles must alternate") as caught:
        tokenizer.encode((Message("user", "a"),))
    assert caught.value.param == "messages"


def test_a_model_without_a_chat_template_says_so(tmp_path):
    shutil.copytree(DEMO_MODEL, tmp_path / "model", ignore=shutil.ignore_patterns("onnx", "*.saf*"))
    config = tmp_path / "model" / "tokenizer_config.json"
    fields = json.loads(config.read_text())
    del fields["chat_template"]
    config.write_text(json.dumps(fields))
    tokenizer = CheckpointTokenizer(tmp_path / "model", VOCAB_SIZE)
    assert not tokenizer.has_chat_template
    with pytest.raises(InvalidRequest, match="no chat template; use /v1/completions"):
        tokenizer.encode((Message("user", "a"),))


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no readable tokenizer .* copy tokenizer\.json"):
        CheckpointTokenizer(tmp_path, VOCAB_SIZE)
