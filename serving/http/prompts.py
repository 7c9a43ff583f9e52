"""Texts as callers may send them: the four shapes of `prompt` and of `input`."""

from __future__ import annotations

from typing import Any

from serving.errors import InvalidRequest


def as_texts(given: object, max_texts: int, field: str) -> tuple[str | tuple[int, ...], ...]:
    """A text, texts, token ids, or lists of token ids, as texts; InvalidRequest names which."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list) or not given:
        raise _wrong_text(field)
    if _are_token_ids(given):
        return (tuple(given),)
    if len(given) > max_texts:
        raise InvalidRequest(
            f"{field}: {len(given)} of them in one request; at most {max_texts} are possible.",
            param=field,
        )
    return tuple(_as_text(item, f"{field}.{number}") for number, item in enumerate(given))


def _as_text(item: object, param: str) -> str | tuple[int, ...]:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and item and _are_token_ids(item):
        return tuple(item)
    raise _wrong_text(param)


def _are_token_ids(items: list[Any]) -> bool:
    # Not isinstance: in Python, though not in JSON, true is an integer.
    return all(type(item) is int and 0 <= item < 2**31 for item in items)


def _wrong_text(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"{param}: must be a string, a list of strings, a list of token ids, "
        "or a list of lists of token ids; lists may not be empty.",
        param=param,
    )
