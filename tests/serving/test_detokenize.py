"""Incremental text equals the text of all tokens: no broken characters, no lost spaces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from serving.detokenize import MAX_HELD_TOKENS, IncrementalDetokenizer
from tests.serving.toy import EOS, PIECES, VOCAB_SIZE, ToyTokenizer


class SpaceDroppingTokenizer:
    """Like SentencePiece: every token begins a word, and a text's first space is not shown."""

    eos_token_ids = frozenset()

    def decode(self, token_ids, *, skip_special_tokens=True):
        return " ".join(f"w{token}" for token in token_ids)


def pieces_of(tokens, prompt=(), tokenizer=None):
    detokenizer = IncrementalDetokenizer(tokenizer or ToyTokenizer(), prompt)
    pieces = [detokenizer.push(token) for token in tokens]
    return [*pieces, detokenizer.flush()]


def encode(text, pieces):
    """Bytes and pieces, wherever the text allows a piece."""
    data, tokens = text.encode(), []
    while data:
        found = next((p for p in PIECES if pieces and data.startswith(p)), data[:1])
        tokens.append(found[0] if len(found) == 1 else 256 + PIECES.index(found))
        data = data[len(found) :]
    return tokens


@given(text=st.text(max_size=60), pieces=st.booleans(), prompt=st.text(max_size=9))
def test_any_text_comes_out_as_it_went_in(text, pieces, prompt):
    shown = pieces_of(encode(text, pieces), prompt.encode())
    assert "".join(shown) == text
    assert all("\ufffd" not in piece for piece in shown) or "\ufffd" in text


def test_a_character_is_shown_when_it_is_complete():
    assert pieces_of("a€".encode()) == ["a", "", "", "€", ""]


def test_half_a_character_at_the_end_is_shown_as_such():
    assert pieces_of([ord("a"), 0xE2]) == ["a", "", "\ufffd"]


def test_spaces_between_words_are_kept():
    assert pieces_of([1, 2, 3], prompt=[7], tokenizer=SpaceDroppingTokenizer()) == [
        " w1",
        " w2",
        " w3",
        "",
    ]


@given(tokens=st.lists(st.integers(0, VOCAB_SIZE - 1), max_size=80))
def test_garbage_is_never_held_for_long(tokens):
    detokenizer = IncrementalDetokenizer(ToyTokenizer(), ())
    silent = 0
    for token in tokens:
        piece = detokenizer.push(token)
        silent = 0 if piece or token == EOS else silent + 1
        assert silent <= MAX_HELD_TOKENS


def test_a_long_run_of_hidden_tokens_stays_cheap():
    detokenizer = IncrementalDetokenizer(ToyTokenizer(), ())
    assert [detokenizer.push(EOS) for _ in range(500)] == [""] * 500
    assert len(detokenizer._window) < 20
    assert detokenizer.push(ord("a")) == "a"
