"""Optimum's ORTModelForCausalLM, int8 with dynamic scales, and its `generate`."""

from __future__ import annotations

import onnxruntime
import torch
from optimum.onnxruntime import ORTModelForCausalLM

from bench.cpu.peers.static_batches import static_batches
from bench.cpu.peers.worker import Generate, Opening, main


def open_model(opening: Opening) -> Generate:
    torch.set_num_threads(opening.num_threads)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = opening.num_threads
    return static_batches(
        ORTModelForCausalLM.from_pretrained(
            opening.weights,
            provider="CPUExecutionProvider",
            session_options=options,
            local_files_only=True,
        )
    )


if __name__ == "__main__":
    main(open_model)
