"""How much memory keys and values may take. Pure."""

from __future__ import annotations

from serving.errors import ConfigError

KV_SHARE_OF_FREE_MEMORY = 0.5  # of what is free once the weights are loaded


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
