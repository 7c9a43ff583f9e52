"""Refuses, by name, fields that need something this engine cannot do."""

from __future__ import annotations

from collections.abc import Collection

from serving.errors import UnsupportedField
from serving.http.protocol import GenerationBody
from serving.http.strict import asks_nothing

# field: (what the engine must be capable of, values that ask for nothing)
NEEDS: dict[str, tuple[str, Collection[object]]] = {
    "temperature": ("sampling", (0,)),
    "top_p": ("sampling", (1,)),
    "top_k": ("sampling", (0, -1)),
    "min_p": ("sampling", (0,)),
    "seed": ("sampling", ()),
    "presence_penalty": ("penalties", (0,)),
    "frequency_penalty": ("penalties", (0,)),
    "repetition_penalty": ("penalties", (1,)),
    "token_repetition_penalty": ("penalties", (1,)),
    "logit_bias": ("logit_bias", ({},)),
    "stop_token_ids": ("stop_token_ids", ([],)),
    "min_tokens": ("min_tokens", (0,)),
    "ignore_eos": ("ignore_eos", (False,)),
    "logprobs": ("logprobs", (False,)),
    "messages": ("chat", ()),
}


def check_capabilities(
    body: GenerationBody, capabilities: Collection[str], engine_name: str
) -> None:
    """Raises UnsupportedField for the first field whose capability the engine lacks."""
    for field, (capability, neutral) in NEEDS.items():
        if capability in capabilities or field not in body.model_fields_set:
            continue
        if not asks_nothing(getattr(body, field), neutral):
            raise cannot(field, capability, engine_name)


def cannot(field: str, capability: str, engine_name: str) -> UnsupportedField:
    """The refusal of `field` for want of `capability`."""
    return UnsupportedField(
        f"{field}: the engine '{engine_name}' of this model has no {capability}; leave it out.",
        param=field,
    )
