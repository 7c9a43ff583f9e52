"""The four shapes of `prompt` in POST /v1/completions."""

from __future__ import annotations

from typing import Any

from serving.errors import InvalidRequest
from serving.types import Prompt


def as_prompts(given: object, max_prompts: int) -> tuple[Prompt, ...]:
    """A text, texts, token ids, or lists of token ids, as prompts; InvalidRequest names which."""
    if isinstance(given, str):
        return (given,)
    if not isinstance(given, list) or not given:
        raise _wrong_prompt("prompt")
    if _are_token_ids(given):
        return (tuple(given),)
    if len(given) > max_prompts:
        raise InvalidRequest(
            f"prompt: {len(given)} prompts in one request; at most {max_prompts} are possible.",
            param="prompt",
        )
    return tuple(_as_prompt(number, item) for number, item in enumerate(given))


def _as_prompt(number: int, item: object) -> Prompt:
    if isinstance(item, str):
        return item
    if isinstance(item, list) and item and _are_token_ids(item):
        return tuple(item)
    raise _wrong_prompt(f"prompt.{number}")


def _are_token_ids(items: list[Any]) -> bool:
    # Not isinstance: in Python, though not in JSON, true is an integer.
    return all(type(item) is int and 0 <= item < 2**31 for item in items)


def _wrong_prompt(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"{param}: must be a string, a list of strings, a list of token ids, "
        "or a list of lists of token ids; lists may not be empty.",
        param=param,
    )
