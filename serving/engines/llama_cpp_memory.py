"""Pure arithmetic of the llama_cpp engine's KV memory."""

from __future__ import annotations

from serving.errors import ConfigError

KV_TYPES = ("f16", "q8_0")  # how keys and values may be stored
LENGTH_STEP = 256  # tokens: llama.cpp's rows are a multiple of it long
MAX_ROWS = 256  # llama.cpp's LLAMA_MAX_SEQ
MIN_ROWS = 2  # one to decode and the spare one


def padded_length(max_model_len: int) -> int:
    """Tokens for which a row really takes memory."""
    return -(-max_model_len // LENGTH_STEP) * LENGTH_STEP


def rows_within(budget_bytes: int, row_bytes: int, max_num_seqs: int) -> int:
    """How many rows to make: one for each sequence and the spare one, if the budget holds them.

    Raises ConfigError when it does not hold two.
    """
    held = budget_bytes // row_bytes
    if held < MIN_ROWS:
        raise ConfigError(
            f"kv_cache_bytes: {budget_bytes} bytes are too few for llama.cpp, which takes "
            f"{row_bytes} for each sequence, whatever its length, and for one more; give it "
            f"{MIN_ROWS * row_bytes} or lower max_model_len",
            param="kv_cache_bytes",
        )
    return min(held, max_num_seqs + 1)
