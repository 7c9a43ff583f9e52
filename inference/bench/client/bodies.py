"""What each route's request says. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from inference.bench.plan import Target
from inference.bench.record import Prompt


def body(target: Target, prompt: Prompt) -> bytes:
    """The request's JSON."""
    said: dict[str, Any] = {**_question(target, prompt), **target.sampling}
    if target.model is not None:
        said["model"] = target.model
    if target.route != "embeddings":
        max_tokens = prompt.max_tokens or target.max_tokens
        if max_tokens is not None:
            said["max_tokens"] = max_tokens
        if target.stream:
            said["stream"] = True
            if target.route != "generate":
                said["stream_options"] = {"include_usage": True}
    return msgspec.json.encode(said)


def _question(target: Target, prompt: Prompt) -> dict[str, Any]:
    match target.route:
        case "chat":
            turns = prompt.messages or ({"role": "user", "content": prompt.text},)
            return {"messages": turns}
        case "completions":
            return {"prompt": prompt.token_ids or prompt.text}
        case "embeddings":
            return {"input": prompt.token_ids or prompt.text}
        case "generate":
            return {"prompt": prompt.text}
