"""IPEX-LLM's AutoModelForCausalLM, quantised while it loads, and its `generate`."""

from __future__ import annotations

import torch
from ipex_llm.transformers import AutoModelForCausalLM

from bench.cpu.peers.static_batches import static_batches
from bench.cpu.peers.worker import Generate, Opening, main


def open_model(opening: Opening) -> Generate:
    torch.set_num_threads(opening.num_threads)
    return static_batches(
        AutoModelForCausalLM.from_pretrained(
            str(opening.weights), load_in_low_bit=opening.low_bit, use_cache=True
        )
    )


if __name__ == "__main__":
    main(open_model)
