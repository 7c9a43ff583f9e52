"""OpenVINO GenAI's ContinuousBatchingPipeline: requests are added, the caller steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import openvino_genai as genai
from openvino import Tensor

from bench.cpu.peers.worker import Generate, Opening, main

KV_CACHE_GB = 2


def open_model(opening: Opening) -> Generate:
    scheduler = genai.SchedulerConfig()
    scheduler.cache_size = KV_CACHE_GB
    scheduler.max_num_seqs = opening.max_num_seqs
    pipeline: Any = genai.ContinuousBatchingPipeline(
        str(opening.weights), scheduler, "CPU", {"INFERENCE_NUM_THREADS": opening.num_threads}
    )

    def generate(prompts: list[list[int]], max_new_tokens: int) -> Iterator[Sequence[int]]:
        config = genai.GenerationConfig(max_new_tokens=max_new_tokens, ignore_eos=True)
        config.apply_chat_template = False
        handles = [
            pipeline.add_request(row, Tensor(np.array([prompt], np.int64)), config)
            for row, prompt in enumerate(prompts)
        ]
        while pipeline.has_non_finished_requests():
            pipeline.step()
            yield [row for row, handle in enumerate(handles) for _ in range(num_new(handle))]

    return generate


def num_new(handle: Any) -> int:
    """Tokens that have come since the last time."""
    found = 0
    while handle.can_read():
        found += sum(len(each.generated_ids) for each in handle.read().values())
    return found


if __name__ == "__main__":
    main(open_model)
