"""One call of a causal language model of transformers, whatever words its forward takes."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache


class CausalModel:
    """A loaded model and the words that its forward knows."""

    def __init__(self, model: Any, config: Any = None) -> None:
        """`config` is that of the model's text part; found by transformers 5 where it is None."""
        self.model = model
        self.config = config or model.config.get_text_config(decoder=True)
        parameters = inspect.signature(model.forward).parameters
        self._knows = frozenset(parameters)

    @property
    def name(self) -> str:
        return type(self.model).__name__

    @property
    def can_set_attention(self) -> bool:
        """Whether its attention goes through transformers' table of attentions."""
        return bool(self.model._can_set_attn_implementation())

    @property
    def brings_code(self) -> bool:
        """Whether its code came with the checkpoint."""
        return type(self.model).__module__.startswith("transformers_modules.")

    def set_attention(self, name: str) -> None:
        self.model.set_attn_implementation(name)

    def knows(self, word: str) -> bool:
        return word in self._knows

    def __call__(self, input_ids: Any, *, all_logits: bool = True, **words: Any) -> Any:
        """The model's output for input_ids [B, T]; words that it does not know are left out.

        Its logits are those of every position [B, T, vocab], or of the last [B, 1, vocab].
        """
        if not all_logits:
            words["logits_to_keep"] = 1
        known = {word: value for word, value in words.items() if word in self._knows}
        output = self.model(input_ids=input_ids, return_dict=True, **known)
        if not all_logits:
            output.logits = output.logits[:, -1:]
        return output

    def read(self, token_ids: Any) -> Any:
        """float32 logits [T, vocab] of a text of its own [T], with no cache at all."""
        with torch.inference_mode():
            return self(token_ids[None], use_cache=False).logits[0].float()

    def new_cache(self) -> Any:
        """An empty cache for one sequence; None where the model makes its own in its first call."""
        takes_one = getattr(self.model, "_supports_default_dynamic_cache", lambda: False)
        return DynamicCache(config=self.config) if takes_one() else None

    @property
    def data_type(self) -> Any:
        """In which the model computes, whatever its weights are kept in."""
        return self.model.dtype

    @property
    def max_model_len(self) -> int | None:
        """Positions that the model knows; None where it knows them all."""
        for name in ("max_position_embeddings", "max_seq_len", "n_positions"):
            limit = getattr(self.config, name, None)
            if isinstance(limit, int) and limit > 0:
                return limit
        return None


def first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
