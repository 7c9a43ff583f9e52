"""A model's own chat template: messages to the text it was trained on, rendered in a sandbox."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError
from jinja2.exceptions import TemplateSyntaxError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from serving.errors import ConfigError, InvalidRequest
from serving.types import Message


class ChatTemplate:
    """A template as Hugging Face's tokenizers carry it, with the names such templates may use."""

    def __init__(self, source: str, *, bos_token: str, eos_token: str) -> None:
        """Raises ConfigError for what is no template."""
        sandbox = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
        )
        sandbox.filters["tojson"] = _to_json
        sandbox.globals |= {
            "raise_exception": _raise,
            "strftime_now": lambda pattern: datetime.now().strftime(pattern),
            "bos_token": bos_token,
            "eos_token": eos_token,
        }
        try:
            self._template = sandbox.from_string(source)
        except TemplateSyntaxError as error:
            raise ConfigError(
                f"model_name: the model's chat template is not valid ({error}); put a corrected "
                "one into the file, or a tokenizer_config.json with one beside it",
                param="model_name",
            ) from error

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt for the assistant's next turn; InvalidRequest if the template refuses."""
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        try:
            return self._template.render(messages=turns, add_generation_prompt=True)
        except Exception as error:  # whatever a template raises, it is about these messages
            raise InvalidRequest(
                f"the model's chat template refuses these messages: {error}", param="messages"
            ) from error


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    """Templates want plain JSON; jinja's own filter escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
