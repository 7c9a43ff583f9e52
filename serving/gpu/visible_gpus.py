"""Which GPUs this process may use, in the variable of whoever made them: Ray writes it."""

from __future__ import annotations

import os
import re

VARIABLES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR")


def visibility() -> dict[str, str]:
    """The variables that are set."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def visible_gpus() -> str:
    """Their numbers in one word fit for a file's name; empty where nothing narrows them."""
    return "-".join(re.findall(r"\w+", " ".join(visibility().values())))
