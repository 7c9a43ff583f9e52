"""A model that vLLM serves behind our house, as tests ask it; wherever it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai

ROOT = Path(__file__).parents[2]
DEMO_MODEL = ROOT / "models" / "anynode-demo"
MODEL = "anynode-demo"
ADAPTER = "strange"  # a LoRA adapter's name, where one is served
# What those must be told who want to keep the contracts of this folder.
MAX_MODEL_LEN = 1024
MAX_INPUT_LEN = 200
MAX_NUM_SEQS = 8
MAX_QUEUED_REQUESTS = 16
# Nothing here may ask the network.
VLLM_ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "HF_HUB_OFFLINE": "1",
}


@dataclass
class Served:
    """What a test needs to know about it."""

    port: int
    startup_s: float
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(self.url + path, json=body, timeout=120)

    def ask(self, prompt: str | list[Any] = "one two three", **body: Any) -> httpx.Response:
        return self.post("/v1/completions", model=MODEL, prompt=prompt, **body)

    def answer(self, question: str, model: str = MODEL, max_tokens: int = 100) -> str:
        """The greedy answer to one question."""
        messages = [{"role": "user", "content": question}]
        asked = {"model": model, "max_tokens": max_tokens, "temperature": 0}
        answer = self.post("/v1/chat/completions", messages=messages, **asked)
        return str(answer.json()["choices"][0]["message"]["content"])

    def client(self) -> openai.OpenAI:
        """OpenAI's own client; close it after use."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key="none", max_retries=0)

    def gauge(self, name: str) -> float:
        """A value of /metrics, over all labels."""
        lines = httpx.get(f"{self.url}/metrics", timeout=10).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))
