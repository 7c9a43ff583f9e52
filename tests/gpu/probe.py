"""Prints what torch and vLLM say of this machine's GPUs as JSON: `python -m tests.gpu.probe`.

A process of its own, because asking a GPU for its memory leaves something in it. torch says `cuda`
for AMD's GPUs too, so nothing here needs a vendor's library.
"""

from __future__ import annotations

import json
from typing import Any

import torch
from vllm.platforms import current_platform


def describe(index: int) -> dict[str, Any]:
    free_bytes, total_bytes = torch.cuda.mem_get_info(index)
    return {
        "name": torch.cuda.get_device_name(index),
        "total_bytes": total_bytes,
        "free_bytes": free_bytes,
        "has_float8": bool(current_platform.supports_fp8()),
    }


if __name__ == "__main__":
    print(json.dumps([describe(index) for index in range(torch.cuda.device_count())]))
