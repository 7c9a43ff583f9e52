from __future__ import annotations

import pytest

from serving.errors import InvalidRequest
from serving.http.body import parse_object


def test_an_object():
    assert parse_object(b'{"a": "\\u00e9\\ud83d\\ude00"}') == {"a": "é😀"}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "line 1, column 1"),
        (b'{"a": 1,}', "not valid JSON"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": "\xff"}', "utf-8"),
        (b'{"a": "\\ud800"}', "surrogates"),
        (b'{"a": "\xed\xa0\x80"}', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_none(body, says):
    with pytest.raises(InvalidRequest, match=says):
        parse_object(body)
