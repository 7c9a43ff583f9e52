"""`parameters.json`: read as the tool reads it, and every mistake in it named."""

from __future__ import annotations

import json

import pytest

from inference.bench.throughput.parameters import Parameters, read_parameters
from serving.errors import ConfigError

# The file as the on-premises tool ships it, with its last tokenizer key.
ORIGINAL = {
    "MAX_NEW_TOKENS": 256,
    "CONCURRENT_LEVELS": [1, 2, 4, 8, 16, 32, 64, 128, 256],
    "MODEL_PATH": "meta-llama/some-model",
    "MODEL_HEADERS": {"Content-Type": "application/json"},
    "SAFE_CHECK": True,
    "THRESHOLD_TPS": 7,
    "TOKENIZER_PATH": "../tokenizer",
    "RANDOM_PROMPT_LENGTH": 1000,
    "TEMPERATURE": 0.6,
    "TOP_P": 0.9,
    "MODEL_ENDPOINTS": ["http://localhost:8000/v1/chat/completions"],
}
AZURE = {
    "MAX_NEW_TOKEN": 256,
    "CONCURRENT_LEVELS": [1, 2, 4],
    "MODEL_ENDPOINTS": "https://somewhere.inference.ai.azure.com/v1/completions",
    "API_KEY": "a secret",
    "SYS_PROMPT": "You are kind.",
}


def parameters(**given) -> Parameters:
    return Parameters.model_validate(given)


def read(folder, text: str) -> Parameters:
    path = folder / "parameters.json"
    path.write_text(text)
    return read_parameters(path)


def test_the_tools_own_file_is_read_as_it_is(tmp_path):
    found = read(tmp_path, json.dumps(ORIGINAL))
    assert found.max_new_tokens == 256
    assert found.concurrent_levels == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert found.threshold_tps == 7
    assert found.safe_check
    assert found.headers() == {}
    assert found.notes("chat", found.model_endpoints) == []


def test_the_azure_siblings_file_is_read_too(tmp_path):
    found = read(tmp_path, json.dumps(AZURE))
    assert found.max_new_tokens == 256
    assert found.model_endpoints == [AZURE["MODEL_ENDPOINTS"]]
    assert found.headers() == {"Authorization": "Bearer a secret"}
    assert found.sys_prompt == "You are kind."


def test_what_a_file_leaves_out_is_as_in_the_tools_own():
    given = {
        name: value
        for name, value in ORIGINAL.items()
        if not name.startswith(("MODEL", "TOKENIZER", "SAFE"))
    }
    assert parameters() == parameters(**given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"MAX_NEW_TOKNS": 1}, "no key 'MAX_NEW_TOKNS' (did you mean 'MAX_NEW_TOKENS'?)"),
        ({"top_p": 0.5}, "no key 'top_p' (did you mean 'TOP_P'?)"),
        ({"COLOUR": 1}, "no key 'COLOUR'"),
        ({"MAX_NEW_TOKENS": 1, "MAX_NEW_TOKEN": 1}, "MAX_NEW_TOKEN and MAX_NEW_TOKENS are one"),
        ({"MAX_NEW_TOKENS": 0}, "MAX_NEW_TOKENS: "),
        ({"MAX_NEW_TOKEN": 0}, "MAX_NEW_TOKENS: "),
        ({"MAX_NEW_TOKENS": "256"}, "MAX_NEW_TOKENS: "),
        ({"MAX_NEW_TOKENS": True}, "MAX_NEW_TOKENS: "),
        ({"CONCURRENT_LEVELS": []}, "CONCURRENT_LEVELS: "),
        ({"CONCURRENT_LEVELS": 4}, "CONCURRENT_LEVELS: "),
        ({"CONCURRENT_LEVELS": [1, 0]}, "CONCURRENT_LEVELS: 1: "),
        ({"CONCURRENT_LEVELS": [1, 2, 1]}, "CONCURRENT_LEVELS: 1 is in it twice"),
        ({"MODEL_PATH": ""}, "MODEL_PATH: "),
        ({"SAFE_CHECK": "yes"}, "SAFE_CHECK: "),
        ({"THRESHOLD_TPS": -1}, "THRESHOLD_TPS: "),
        ({"TEMPERATURE": -0.1}, "TEMPERATURE: "),
        ({"TEMPERATURE": float("nan")}, "TEMPERATURE: "),
        ({"TOP_P": 1.1}, "TOP_P: "),
        ({"TOP_P": 0}, "TOP_P: "),
        ({"RANDOM_PROMPT_LENGTH": 0}, "RANDOM_PROMPT_LENGTH: "),
        ({"RANDOM_PROMPT_LENGTH": 1.5}, "RANDOM_PROMPT_LENGTH: "),
        ({"MODEL_ENDPOINTS": ["localhost:8000"]}, "MODEL_ENDPOINTS: localhost:8000"),
        ({"MODEL_ENDPOINTS": [1]}, "MODEL_ENDPOINTS: 0: "),
        ({"MODEL_HEADERS": {"X-A": 1}}, "MODEL_HEADERS: X-A: "),
        ({"MODEL_HEADERS": {"X A": "1"}}, "MODEL_HEADERS: 'X A' is no header"),
        ({"MODEL_HEADERS": {"X-A": "1\r\nX-B: 2"}}, "MODEL_HEADERS: 'X-A' is no header"),
        ({"MODEL_HEADERS": {"content-length": "3"}}, "MODEL_HEADERS: content-length is set"),
        ({"MODEL_HEADERS": {"Content-Type": "text/plain"}}, "MODEL_HEADERS: Content-Type can"),
        ({"MODEL_HEADERS": {"authorization": "x"}, "API_KEY": "y"}, "keep one"),
    ],
)
def test_every_mistake_names_the_file_the_key_and_what_is_wrong(tmp_path, given, said):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, json.dumps(given))
    assert f"{tmp_path / 'parameters.json'}: " in caught.value.message
    assert said in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(("text", "said"), [("[]", "one JSON object"), ("{", "not JSON")])
def test_a_file_of_another_shape_is_refused(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(ConfigError, match="--params"):
        read_parameters(tmp_path / "nowhere.json")


def test_keys_are_neither_published_nor_shown():
    found = parameters(**AZURE, MODEL_HEADERS={"X-Key": "a secret"})
    assert "a secret" not in repr(found)
    assert "a secret" not in str(found.published("chat"))


def test_what_is_published_is_in_force_in_the_mode():
    found = parameters(**ORIGINAL, SYS_PROMPT="x")
    chat, completion = found.published("chat"), found.published("completion")
    assert chat["MAX_NEW_TOKENS"] == 256
    assert chat["SYS_PROMPT"] == "x"
    assert "RANDOM_PROMPT_LENGTH" not in chat
    assert completion["RANDOM_PROMPT_LENGTH"] == 1000
    assert "SYS_PROMPT" not in completion


def test_what_would_surprise_is_noted():
    found = parameters(**AZURE)
    endpoint = AZURE["MODEL_ENDPOINTS"]
    assert [note.partition(":")[0] for note in found.notes("chat", [])] == ["API_KEY"]
    assert any(note.startswith("SYS_PROMPT is not") for note in found.notes("completion", []))
    (note,) = parameters().notes("chat", [endpoint])
    assert note.startswith(f"{endpoint} is asked at https://")
    assert "/v1/chat/completions" in note
    same = ["http://host:1/v1", "http://host:1", "http://host:1/v1/chat/completions/"]
    assert parameters().notes("chat", same) == []
    assert len(parameters().notes("completion", same)) == 1
