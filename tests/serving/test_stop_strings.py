from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.stop_strings import StopScanner

letters = st.text(alphabet="ab ", max_size=40)
stop_sets = st.lists(st.text(alphabet="ab ", min_size=1, max_size=5), max_size=4).map(tuple)


def cut(text: str, places: list[int]) -> list[str]:
    """`text` in pieces, cut at the given places."""
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def expected(text: str, stops: tuple[str, ...], include_stop: bool) -> tuple[str, str | None]:
    """The definition, spelled out: the first character at which a stop is complete."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            stop = max(complete, key=len)
            return text[: end if include_stop else end - len(stop)], stop
    return text, None


@settings(deadline=None)  # the machine may be busy
@given(letters, stop_sets, st.lists(st.integers(min_value=0), max_size=8), st.booleans())
def test_the_cuts_do_not_matter(text, stops, places, include_stop):
    scanner = StopScanner(stops, include_stop=include_stop)
    shown, stop = "", None
    for piece in cut(text, places):
        released, stop = scanner.push(piece)
        shown += released
        if stop is not None:
            break
    else:
        shown += scanner.flush()
    assert (shown, stop) == expected(text, stops, include_stop)


@settings(deadline=None)  # the machine may be busy
@given(letters, stop_sets)
def test_what_is_held_back_could_become_a_stop(text, stops):
    scanner = StopScanner(stops)
    shown = ""
    for character in text:
        released, stop = scanner.push(character)
        shown += released
        if stop is not None:
            return
    held = scanner.flush()
    assert shown + held == text
    assert not held or any(stop.startswith(held) for stop in stops)


@pytest.mark.parametrize(
    ("stops", "shown", "stop"),
    [
        (("cd",), "ab", "cd"),
        (("bcd", "cd"), "a", "bcd"),  # both end at d: the longer
        (("bcdx", "c"), "ab", "c"),  # c is complete first
        (("x",), "abcde", None),
    ],
)
def test_examples(stops, shown, stop):
    scanner = StopScanner(stops)
    released, found = scanner.push("abcde")
    assert (released + scanner.flush(), found) == (shown, stop)


def test_without_stops_nothing_is_held():
    assert StopScanner(()).push("anything") == ("anything", None)


def test_an_empty_stop_is_a_mistake():
    with pytest.raises(ValueError, match="empty"):
        StopScanner(("a", ""))
