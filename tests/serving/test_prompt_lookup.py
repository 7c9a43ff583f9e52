"""What is proposed is what followed the latest place like the text's end, however the text grew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.prompt_lookup import NGRAM_SIZES, PromptLookup

texts = st.lists(st.integers(0, 3), max_size=40)


def naive(text: list[int], count: int) -> list[int]:
    """The same by looking everywhere: the longest n-gram first, the latest place first."""
    for size in NGRAM_SIZES:
        for start in range(len(text) - size - 1, -1, -1):
            if text[start : start + size] == text[-size:]:
                grown = list(text)
                for _ in range(count):
                    grown.append(grown[start + size + len(grown) - len(text)])
                return grown[len(text) :]
    return []


@given(pieces=st.lists(texts, max_size=4), count=st.integers(0, 9))
def test_it_proposes_what_looking_everywhere_finds(pieces, count):
    lookup = PromptLookup()
    text: list[int] = []
    for piece in pieces:
        lookup.extend(piece)
        text += piece
        assert list(lookup.propose(count)) == naive(text, count)
        assert len(lookup) == len(text)


def test_the_longest_ngram_knows_best():
    lookup = PromptLookup()
    lookup.extend([1, 2, 3, 4, 50, 9, 3, 4, 60, 1, 2, 3, 4])
    assert list(lookup.propose(1)) == [50]


def test_the_latest_of_equal_places_is_taken():
    lookup = PromptLookup()
    lookup.extend([1, 2, 50, 1, 2, 60, 1, 2])
    assert list(lookup.propose(2)) == [60, 1]


def test_a_circle_is_gone_round():
    lookup = PromptLookup()
    lookup.extend([9, 1, 2, 1, 2])
    assert list(lookup.propose(5)) == [1, 2, 1, 2, 1]


def test_a_text_that_never_was_proposes_nothing():
    lookup = PromptLookup()
    lookup.extend(range(100))
    assert list(lookup.propose(4)) == []
