"""How many tokens a sequence may have: what the operator asks for, within what the model can."""

from __future__ import annotations

from serving.errors import ConfigError

# Longer contexts exist, but a CPU needs tens of seconds to read one, and the attention's scratch
# memory grows with it (heads x chunk x max_model_len floats). Whoever wants one asks for it.
DEFAULT_MAX_MODEL_LEN = 4096


def model_len(limit: int | None, wanted: int | None) -> int:
    """Tokens of prompt and answer; `limit` is the model's own, None where it has none.

    Raises ConfigError for more than the model was made for.
    """
    if wanted is None:
        return DEFAULT_MAX_MODEL_LEN if limit is None else min(limit, DEFAULT_MAX_MODEL_LEN)
    if wanted < 1 or (limit is not None and wanted > limit):
        fitting = "1 or more" if limit is None else f"a number from 1 to {limit}"
        raise ConfigError(
            f"max_model_len: {wanted} is outside what this model was made for; set it to {fitting}",
            param="max_model_len",
        )
    return wanted
