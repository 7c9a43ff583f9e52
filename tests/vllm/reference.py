"""What the demo checkpoint says and sees without vLLM: transformers, in 32 bits, one prompt at a
time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.vllm.served import DEMO_MODEL


class Reference:
    """The checkpoint, with changes to its config or, through `model`, to its weights."""

    def __init__(self, **config: Any) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(DEMO_MODEL)
        told = AutoConfig.from_pretrained(DEMO_MODEL, **config)
        self.model = AutoModelForCausalLM.from_pretrained(
            DEMO_MODEL, config=told, dtype=torch.float32
        ).eval()

    def ids(self, question: str) -> list[int]:
        """The chat prompt of one question."""
        chat = [{"role": "user", "content": question}]
        told = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True)
        return list(told["input_ids"])

    def answer(self, question: str, max_tokens: int) -> str:
        """The greedy answer to one question."""
        return self.continuation(self.ids(question), max_tokens)

    def continuation(self, ids: list[int], max_tokens: int) -> str:
        """The greedy text after `ids`."""
        with torch.inference_mode():
            [whole] = self.model.generate(
                torch.tensor([ids]), max_new_tokens=max_tokens, do_sample=False
            )
        return str(self.tokenizer.decode(whole[len(ids) :], skip_special_tokens=True))

    def last_hidden_state(self, text: str) -> torch.Tensor:
        """float32 [hidden size]: the normed state of a text's last token."""
        ids = self.tokenizer(text, return_tensors="pt")
        with torch.inference_mode():
            return self.model.model(**ids).last_hidden_state[0, -1]

    def add(self, deltas: Mapping[str, torch.Tensor]) -> None:
        """Add to weights, by their names in the checkpoint."""
        weights = self.model.state_dict()
        for name, delta in deltas.items():
            weights[name] += delta
