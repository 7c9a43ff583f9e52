"""Traces of every kind known, and what is wrong with the others."""

from __future__ import annotations

import pytest

from inference.bench.trace import Entry, read_trace
from serving.errors import ConfigError

OURS = (
    '{"at_s": 5, "prompt_tokens": 7, "output_tokens": 2}\n\n'
    '{"at_s": 6.5, "prompt_tokens": 1, "output_tokens": 9}\n'
)
MOONCAKE = (
    '{"timestamp": 1000, "input_length": 7, "output_length": 2, "hash_ids": [1]}\n'
    '{"timestamp": 2500, "input_length": 1, "output_length": 9, "hash_ids": [2]}\n'
)
AZURE = (
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:03.0000000,7,2\n\n"
    "2023-11-16 18:17:04.5000000,1,9\n"
)


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", OURS), ("b.jsonl", MOONCAKE), ("c.csv", AZURE)]
)
def test_every_kind_says_the_same(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    trace = read_trace(tmp_path / name)
    assert trace.entries == (Entry(0.0, 7, 2), Entry(1.5, 1, 9))
    assert list(trace.arrivals(1.0).offsets_s()) == [0.0, 1.5]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "no request"),
        ("{", ":1: not JSON"),
        ("[1]", ":1: a line must be a JSON object"),
        ('{"when": 1}', ":1: it has no at_s"),
        ('{"at_s": 1, "prompt_tokens": 3}', ":1: output_tokens is missing"),
        ('{"at_s": 1, "prompt_tokens": "x", "output_tokens": 1}', ":1: prompt_tokens: 'x'"),
        ('{"at_s": 1, "prompt_tokens": 1.5, "output_tokens": 1}', ":1: prompt_tokens: 1.5"),
        ('{"at_s": NaN, "prompt_tokens": 1, "output_tokens": 1}', ":1: at_s: nan"),
        ('{"at_s": true, "prompt_tokens": 1, "output_tokens": 1}', ":1: at_s: True"),
        ('{"at_s": 1, "prompt_tokens": -1, "output_tokens": 1}', ":1: prompt_tokens: -1"),
        ('{"at_s": 1, "prompt_tokens": 1e9, "output_tokens": 1}', ":1: prompt_tokens: 1000000000"),
        (f'{{"at_s": 1{"0" * 400}}}', ":1: at_s: 1000"),
        (OURS + OURS, ":4: it is earlier"),
        (OURS + MOONCAKE, ":4: at_s is missing"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, content, words):
    path = tmp_path / "trace.jsonl"
    path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        read_trace(path)
    assert words in refused.value.message
    assert "trace.jsonl" in refused.value.message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("2023-11-16 18:17:05,7", ":5: GeneratedTokens is missing"),
        ("yesterday,7,2", ":5: TIMESTAMP: 'yesterday'"),
        ("2023-11-16 18:17:00,7,2", ":5: it is earlier"),
        ("x" * 200_000, ":5: not CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_with_its_line(tmp_path, line, words):
    (tmp_path / "trace.csv").write_text(AZURE + line)
    with pytest.raises(ConfigError) as refused:
        read_trace(tmp_path / "trace.csv")
    assert words in refused.value.message


def test_nobody_is_asked_for_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"at_s": 0, "prompt_tokens": 0, "output_tokens": 0}')
    assert read_trace(tmp_path / "a.jsonl").entries == (Entry(0.0, 1, 1),)


def test_a_file_that_is_not_there_and_a_speed_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match=r"--trace: .*none"):
        read_trace(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl").write_text(OURS)
    with pytest.raises(ConfigError, match="--trace-speed"):
        read_trace(tmp_path / "a.jsonl").arrivals(0)
