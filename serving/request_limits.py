"""Whether a request fits its model, and how long its answer may be. Pure."""

from __future__ import annotations

from serving.errors import ContextTooLong, InvalidRequest
from serving.types import SamplingParams


def answer_length(
    params: SamplingParams, num_prompt_tokens: int, max_model_len: int, kv_tokens: int
) -> int:
    """How many tokens the answer may have; the request's wish is never cut silently.

    `kv_tokens`: how many the whole KV memory holds. Raises InvalidRequest or ContextTooLong.
    """
    if num_prompt_tokens == 0:
        raise InvalidRequest("prompt: it has no tokens; send at least one", param="prompt")
    room = min(max_model_len, kv_tokens) - num_prompt_tokens
    wish = params.max_tokens
    if room < 1 or (wish is not None and wish > room):
        asked = "" if wish is None else f" and max_tokens asks for {wish} more"
        reason = "" if max_model_len <= kv_tokens else f" (kv_cache_bytes holds {kv_tokens})"
        raise ContextTooLong(
            f"the prompt has {num_prompt_tokens} tokens{asked}, but this model takes "
            f"{max_model_len} in all{reason}; shorten the prompt or lower max_tokens",
            param="max_tokens" if room > 0 else "prompt",
        )
    if wish is not None:
        return wish
    return room if params.default_max_tokens is None else min(params.default_max_tokens, room)


def check_token_ids(params: SamplingParams, vocab_size: int) -> None:
    """Raise InvalidRequest for a token id that the model does not have."""
    for name, ids in (
        ("logit_bias", params.logit_bias),
        ("stop_token_ids", params.stop_token_ids),
    ):
        for token_id in ids:
            if not 0 <= token_id < vocab_size:
                raise InvalidRequest(
                    f"{name}: token id {token_id} is outside the vocabulary "
                    f"(0 to {vocab_size - 1})",
                    param=name,
                )
