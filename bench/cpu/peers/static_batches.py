"""`generate` of transformers and its kin: one batch, and nobody hears anything before its end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from bench.cpu.peers.worker import Generate


def static_batches(model: Any) -> Generate:
    """Greedy, to the last token of prompts that are all of one length."""

    def generate(prompts: list[list[int]], max_new_tokens: int) -> Iterator[Sequence[int]]:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            answers = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                min_new_tokens=max_new_tokens,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=0,
            )
        num_new = answers.shape[1] - ids.shape[1]
        yield [row for row in range(len(prompts)) for _ in range(num_new)]

    return generate
