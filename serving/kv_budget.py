"""How long a sequence may be, and how much memory keys and values may take. Pure."""

from __future__ import annotations

from serving.errors import ConfigError

# Longer contexts exist, but a CPU needs tens of seconds to read one, and the attention's scratch
# memory grows with it (heads x chunk x max_model_len floats). Whoever wants one asks for it.
DEFAULT_MAX_MODEL_LEN = 4096
KV_SHARE_OF_FREE_MEMORY = 0.5  # of what is free once the weights are loaded


def model_len(made_for: int | None, asked: int | None) -> int:
    """Tokens of a sequence; raises ConfigError for more than the model was made for.

    A model made for None has no limit that it knows of.
    """
    if asked is None:
        return min(made_for or DEFAULT_MAX_MODEL_LEN, DEFAULT_MAX_MODEL_LEN)
    if made_for is not None and not 1 <= asked <= made_for:
        raise ConfigError(
            f"max_model_len: {asked} is outside what this model was made for; set it to a number "
            f"from 1 to {made_for}",
            param="max_model_len",
        )
    return asked


def kv_budget(useful_bytes: int, asked_bytes: int | None, free_bytes: int) -> int:
    """What was asked for, else as much as is useful, as far as memory allows.

    Raises ConfigError when more is asked for than is free.
    """
    if asked_bytes is None:
        return min(useful_bytes, int(free_bytes * KV_SHARE_OF_FREE_MEMORY))
    if asked_bytes > free_bytes:
        raise ConfigError(
            f"kv_cache_bytes: {asked_bytes} bytes are asked for, but only {free_bytes} are free "
            "here; lower it, or leave it out to take what is sensible",
            param="kv_cache_bytes",
        )
    return asked_bytes
