"""The chat format: special tokens, the template that ships with the model, and its twin in Python.

`CHAT_TEMPLATE` is what engines render; `render` is what training text is written with. A test
holds them equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAD = "<|endoftext|>"
START = "<|im_start|>"
END = "<|im_end|>"
SPECIAL_TOKENS = (PAD, START, END)
"""In the order of their ids. `PAD` also serves as the (optional) beginning of a text."""

# Content is trimmed: a trailing space changes tokens, but never what somebody meant.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% set role = 'system' if message['role'] == 'developer' else message['role'] %}"
    "{{ '<|im_start|>' + role + '\n' + (message['content'] | trim) + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True)
class Span:
    """A piece of a training document; the model learns to write it, or only reads it."""

    text: str
    learn: bool


Document = tuple[Span, ...]


def render(messages: Sequence[Message]) -> Document:
    """A conversation as training text: the assistant's words and their end are learnt."""
    spans: list[Span] = []
    for message in messages:
        is_answer = message.role == "assistant"
        spans.append(Span(f"{START}{message.role}\n", learn=False))
        spans.append(Span(f"{message.content.strip()}{END}", learn=is_answer))
        spans.append(Span("\n", learn=False))
    return tuple(spans)
