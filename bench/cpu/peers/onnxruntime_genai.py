"""onnxruntime-genai's Generator over its own builder's graph: prompts of one length, one batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import onnxruntime_genai as og

from bench.cpu.peers.worker import Generate, Opening, main


def open_model(opening: Opening) -> Generate:
    config = og.Config(str(opening.weights))
    session = {"intra_op_num_threads": opening.num_threads}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": session}}}))
    model = og.Model(config)

    def generate(prompts: list[list[int]], max_new_tokens: int) -> Iterator[Sequence[int]]:
        length = len(prompts[0]) + max_new_tokens
        params = og.GeneratorParams(model)
        # With its shortest answer as long as its longest, no end of text ends it.
        params.set_search_options(
            batch_size=len(prompts), min_length=length, max_length=length, do_sample=False
        )
        generator = og.Generator(model, params)
        generator.append_tokens(np.array(prompts, np.int32))
        for _ in range(max_new_tokens):
            generator.generate_next_token()
            yield range(len(prompts))

    return generate


if __name__ == "__main__":
    main(open_model)
