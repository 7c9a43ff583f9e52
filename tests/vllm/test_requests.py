"""What vLLM brings and what our house puts around it, on a CPU."""

from __future__ import annotations

from tests.vllm.request_contract import *  # noqa: F403
