"""A text or token ids as the prompt of a route. Pure."""

from __future__ import annotations

from inference.bench.plan import RouteName
from inference.bench.record import Prompt


def text_prompt(
    route: RouteName, text: str, *, num_tokens: int | None = None, max_tokens: int | None = None
) -> Prompt:
    """One user's turn for a chat, the text itself for the others."""
    if route == "chat":
        turn = {"role": "user", "content": text}
        return Prompt(messages=(turn,), num_tokens=num_tokens, max_tokens=max_tokens)
    return Prompt(text=text, num_tokens=num_tokens, max_tokens=max_tokens)
