"""Files that users name: what is wrong with them, and where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.text_file import numbered_lines, parse_json, read_text
from serving.errors import ConfigError


@given(st.lists(st.text().filter(lambda text: text.strip()), min_size=1))
def test_every_line_of_json_is_one_line(values):
    content = "\n\n".join(json.dumps(value, ensure_ascii=False) for value in values)
    lines = list(numbered_lines(content))
    assert [json.loads(line) for _, line in lines] == values
    assert [number for number, _ in lines] == list(range(1, 2 * len(values), 2))


def test_a_mark_at_the_beginning_is_no_text(tmp_path):
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfhi\r\n")
    assert read_text(tmp_path / "a", "--dataset") == "hi\n"


def test_a_file_that_cannot_be_read_names_the_option(tmp_path):
    with pytest.raises(ConfigError, match=r"--trace: .*none cannot be read: No such file"):
        read_text(tmp_path / "none", "--trace")
    with pytest.raises(ConfigError, match=r"--trace: .* cannot be read: Is a directory"):
        read_text(tmp_path, "--trace")
    (tmp_path / "a").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"--dataset: .*a is not UTF-8"):
        read_text(tmp_path / "a", "--dataset")


@pytest.mark.parametrize(
    ("text", "first_line", "words"),
    [
        ("{", 7, "a.json:7: not JSON: Expecting property name"),
        ("[\n1,\n?]", 1, "a.json:3: not JSON: Expecting value (column 1)"),
        ("9" * 5000, 4, "a.json:4: not JSON that can be read"),
        ("[" * 100_000, 1, "a.json:1: not JSON that can be read"),
    ],
)
def test_what_is_no_json_is_named_with_its_line(tmp_path, text, first_line, words):
    with pytest.raises(ConfigError) as refused:
        parse_json(text, tmp_path / "a.json", first_line)
    assert words in refused.value.message
