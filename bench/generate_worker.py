"""Runs in the conversion environment: one static batch for each line on standard input.

    python bench/generate_worker.py MODEL_DIR

A line is {"prompts": [[token, …], …], "max_new_tokens": n}, all prompts of one length; the answer
is a line that says it is done.
"""

from __future__ import annotations

import json
import os
import sys

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        ids = torch.tensor(order["prompts"])
        count = order["max_new_tokens"]
        with torch.inference_mode():
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=count,
                min_new_tokens=count,
                do_sample=False,
                pad_token_id=0,
            )
        print("done", flush=True)


main()
