"""llama.cpp's batches by llama-cpp-python's low-level interface, as llama.cpp's own `batched`
example and its server use them: one context, a sequence for each prompt, greedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import llama_cpp as lib
import numpy as np

from bench.cpu.peers.worker import Generate, Opening, main
from serving.gguf_source import gguf_files

Token = tuple[int, int, int, bool]  # id, position, row, whether its logits are wanted


def open_model(opening: Opening) -> Generate:
    context = open_context(opening)
    memory = lib.llama_get_memory(context)
    size = lib.llama_n_batch(context)
    batch = lib.llama_batch_init(size, 0, 1)
    vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(lib.llama_get_model(context)))

    def decode(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
        """Each row whose logits were wanted, and its most likely token."""
        fill(batch, tokens)
        if status := lib.llama_decode(context, batch):
            raise RuntimeError(f"llama_decode gave {status}")
        for place, (_, _, row, wanted) in enumerate(tokens):
            if wanted:
                logits = lib.llama_get_logits_ith(context, place)
                yield row, int(np.ctypeslib.as_array(logits, shape=(vocab,)).argmax())

    def generate(prompts: list[list[int]], max_new_tokens: int) -> Iterator[Sequence[int]]:
        lib.llama_memory_clear(memory, True)
        last: dict[int, int] = {}
        tokens = list(prompt_tokens(prompts))
        for start in range(0, len(tokens), size):
            read = dict(decode(tokens[start : start + size]))
            last |= read
            yield list(read)
        for step in range(max_new_tokens - 1):
            lengths = [len(prompt) + step for prompt in prompts]
            last = dict(decode([(last[row], at, row, True) for row, at in enumerate(lengths)]))
            yield list(last)

    return generate


def open_context(opening: Opening) -> Any:
    (path,) = gguf_files(opening.weights)
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    params = lib.llama_context_default_params()
    params.n_seq_max = opening.max_num_seqs
    params.n_ctx = opening.max_num_seqs * opening.max_model_len
    params.n_threads = params.n_threads_batch = opening.num_threads
    params.kv_unified = False
    context = lib.llama_init_from_model(model, params)
    if not context:
        raise RuntimeError(f"llama.cpp cannot run {path}")
    return context


def prompt_tokens(prompts: list[list[int]]) -> Iterator[Token]:
    """All prompts, one after the other; of each, the last token's logits are wanted."""
    for row, prompt in enumerate(prompts):
        for position, token in enumerate(prompt):
            yield token, position, row, position == len(prompt) - 1


def fill(batch: Any, tokens: Sequence[Token]) -> None:
    batch.n_tokens = len(tokens)
    for place, (token, position, row, wanted) in enumerate(tokens):
        batch.token[place] = token
        batch.pos[place] = position
        batch.n_seq_id[place] = 1
        batch.seq_id[place][0] = row
        batch.logits[place] = wanted


if __name__ == "__main__":
    main(open_model)
