"""Log-probabilities in OpenAI's two shapes: chat's list of tokens, completions' four columns."""

from __future__ import annotations

from collections.abc import Iterable

from serving.types import TokenLogprob

# JSON has no infinity; OpenAI writes "very unlikely" so.
LOWEST = -9999.0


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, object]:
    """The `logprobs` object of a chat choice."""
    return {"content": [_chat_token(token) for token in tokens], "refusal": None}


def _chat_token(token: TokenLogprob) -> dict[str, object]:
    return {
        **_chat_entry(token.text, token.logprob or 0.0),
        "top_logprobs": [_chat_entry(text, logprob) for _, text, logprob in token.top],
    }


def _chat_entry(text: str, logprob: float) -> dict[str, object]:
    return {"token": text, "logprob": max(logprob, LOWEST), "bytes": _bytes(text)}


def _bytes(text: str) -> list[int] | None:
    """UTF-8; None when the token is half a character, whose bytes its text does not tell."""
    return None if "\ufffd" in text else list(text.encode("utf-8", "surrogatepass"))


def completion_logprobs(tokens: Iterable[TokenLogprob], offset: int) -> dict[str, object]:
    """The `logprobs` object of a text completion; `text_offset` counts from `offset`.

    Offsets are positions in the choice's text, as vLLM counts them. The token itself always
    stands among its alternatives; a prompt's first token has neither logprob nor alternatives.
    """
    tokens = list(tokens)
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "text_offset": offsets,
        "token_logprobs": [_floor(token.logprob) for token in tokens],
        "tokens": [token.text for token in tokens],
        "top_logprobs": [_alternatives(token) for token in tokens],
    }


def _alternatives(token: TokenLogprob) -> dict[str, float] | None:
    if token.logprob is None:
        return None
    alternatives = {text: max(logprob, LOWEST) for _, text, logprob in token.top}
    alternatives.setdefault(token.text, max(token.logprob, LOWEST))
    return alternatives


def _floor(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LOWEST)
