"""inference.migrate.repair: YAML that does not parse, where what was meant is clear."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from inference.migrate.repair import repair

ITEM_KEYS_AT_THE_DASH = """
apps:
  - name: a
  port: 1  # of a
  args:
    x: 1
  # about b
  - name: b
  port: 2
"""
KEYS_TOO_DEEP = """
- name: a
    port: 1
    args:
        x: 1
- name: b
"""
OWN_LIST_AT_THE_DASH = """
apps:
    - name: a
    parts:
    - name: x
    - name: y
    port: 1
after: 1
"""
PLAIN_TOO_DEEP = """
host: a
  port: 1
  more:
    x: 1
end: 2
"""
RESERVED = """
token: !!!!! # to fill in
user: @me
"""


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            ITEM_KEYS_AT_THE_DASH,
            {"apps": [{"name": "a", "port": 1, "args": {"x": 1}}, {"name": "b", "port": 2}]},
        ),
        (KEYS_TOO_DEEP, [{"name": "a", "port": 1, "args": {"x": 1}}, {"name": "b"}]),
        (
            OWN_LIST_AT_THE_DASH,
            {
                "apps": [{"name": "a", "parts": [{"name": "x"}, {"name": "y"}], "port": 1}],
                "after": 1,
            },
        ),
        (PLAIN_TOO_DEEP, {"host": "a", "port": 1, "more": {"x": 1}, "end": 2}),
        (RESERVED, {"token": "!!!!!", "user": "@me"}),
    ],
)
def test_what_was_meant_is_read(text: str, meant: Any) -> None:
    mended = repair(text)
    assert mended is not None
    assert yaml.safe_load(mended.text) == meant
    kept = [line.strip().replace('"', "") for line in mended.text.splitlines()]
    assert kept == [line.strip() for line in text.splitlines()]  # comments and all


@pytest.mark.parametrize("text", ["a: [1, 2\n", "a: 'x\n", "a: b: c\n", "a: 1\n - b\n", "{a: 1\n"])
def test_what_is_not_clear_is_left(text: str) -> None:
    assert repair(text) is None


@pytest.mark.parametrize("text", ["", "a: 1\n", "a:\n- b\n", "a: |\n  x: y: z\n b"[:16]])
def test_what_parses_is_not_touched(text: str) -> None:
    assert repair(text) is None


@given(st.text(alphabet="ab:-# \n!\"'|{", max_size=60))
def test_any_text_ends_in_yaml_or_in_nothing(text: str) -> None:
    mended = repair(text)
    if mended is not None:
        list(yaml.safe_load_all(mended.text))
        assert mended.changes


NAMES = st.sampled_from(["args", "port", "parts", "x"])
VALUES = st.one_of(
    st.integers(0, 9),
    st.lists(st.integers(0, 9), min_size=1, max_size=2),
    st.dictionaries(NAMES, st.integers(0, 9), min_size=1, max_size=2),
)
ITEMS = st.dictionaries(NAMES, VALUES, max_size=3).map(lambda rest: {"name": "a", **rest})


def written(items: list[dict[str, Any]], shift: int) -> str:
    """A list of mappings whose keys, after the first, stand `shift` columns beside their place."""
    lines = ["apps:"]
    for item in items:
        for key, value in item.items():
            left = "  - " if key == "name" else " " * (4 + shift)
            inner = yaml.safe_dump(value).splitlines() if isinstance(value, dict | list) else []
            lines.append(f"{left}{key}:" + ("" if inner else f" {value}"))
            lines += [" " * (len(left) + 2) + line for line in inner]
    return "\n".join([*lines, "after: 1", ""])


@given(st.lists(ITEMS, min_size=1, max_size=3), st.sampled_from([-2, 1, 2, 4]))
def test_keys_beside_their_place_are_put_into_it(items: list[dict[str, Any]], shift: int) -> None:
    text = written(items, shift)
    mended = repair(text)
    data = yaml.safe_load(text if mended is None else mended.text)
    assert data == {"apps": items, "after": 1}
