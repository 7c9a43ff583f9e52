"""How many parameters a decoder has, counted from the words of its config.json. Pure.

Holds for decoders with gated feed-forward layers and RMS norms (Llama, Mistral, Qwen, Gemma, Phi-3,
Yi and their mixtures of experts) and for DeepSeek's latent attention; `known_models` proves it on
the published counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]

BIASED_QKV = {"qwen2", "qwen2_moe"}
NORMED_QK = {"qwen3", "qwen3_moe", "gemma3", "gemma3_text"}
FOUR_NORMS = {"gemma2", "gemma3", "gemma3_text"}
TIED_UNLESS_SAID = {"gemma", "gemma2", "gemma3", "gemma3_text"}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Numbers of a model's parameters."""

    total: int
    embedding: int  # a table that is looked up and never multiplied; 0 where it is the head too
    experts: int = 0  # of all routed experts together
    num_experts: int = 1
    experts_per_token: int = 1

    @property
    def active(self) -> float:
        """Those that one token is multiplied with."""
        idle = self.experts * (1 - self.experts_per_token / self.num_experts)
        return self.total - self.embedding - idle

    def read(self, batch: int) -> float:
        """Those that one decode step of so many sequences reads, tokens choosing experts freely."""
        untouched = (1 - self.experts_per_token / self.num_experts) ** batch
        return self.total - self.embedding - self.experts * untouched


def count(config: Config) -> Parameters:
    """Raises KeyError or TypeError where the config speaks in other words."""
    text = config.get("text_config", config)
    table = text["vocab_size"] * text["hidden_size"]
    kind = text.get("model_type", "")
    tied = text.get("tie_word_embeddings", kind in TIED_UNLESS_SAID)
    layers = text["num_hidden_layers"]
    experts, others = _feed_forward(text)
    norms = (4 if kind in FOUR_NORMS else 2) * text["hidden_size"]
    inner = layers * (_attention(text) + norms) + experts + others
    return Parameters(
        total=table * (1 if tied else 2) + inner + text["hidden_size"],
        embedding=0 if tied else table,
        experts=experts,
        num_experts=num_experts(text) or 1,
        experts_per_token=(text.get("num_experts_per_tok") or 1) if experts else 1,
    )


def num_experts(text: Config) -> int:
    """Routed experts of a layer; 0: it has none."""
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    return next((int(text[name]) for name in names if text.get(name)), 0)


def _attention(text: Config) -> int:
    """Of one layer."""
    hidden, heads = text["hidden_size"], text["num_attention_heads"]
    if text.get("kv_lora_rank"):
        return _latent_attention(text)
    kv_heads = text.get("num_key_value_heads") or heads
    size = text.get("head_dim") or hidden // heads
    kind = text.get("model_type", "")
    bias = (heads + 2 * kv_heads) * size if kind in BIASED_QKV else 0
    norms = 2 * size if kind in NORMED_QK else 0
    products: int = 2 * hidden * heads * size + 2 * hidden * kv_heads * size
    return products + bias + norms


def _latent_attention(text: Config) -> int:
    """DeepSeek's: keys and values through a narrow latent of `kv_lora_rank`."""
    hidden, heads = text["hidden_size"], text["num_attention_heads"]
    rank, rotary = text["kv_lora_rank"], text["qk_rope_head_dim"]
    plain, value = text["qk_nope_head_dim"], text["v_head_dim"]
    narrow = text.get("q_lora_rank")
    width = heads * (plain + rotary)
    query = hidden * width if not narrow else hidden * narrow + narrow + narrow * width
    latent = hidden * (rank + rotary) + rank + rank * heads * (plain + value)
    result: int = query + latent + heads * value * hidden
    return result


def _feed_forward(text: Config) -> tuple[int, int]:
    """Of all layers: in routed experts, and in everything else."""
    hidden, layers, routed = text["hidden_size"], text["num_hidden_layers"], num_experts(text)
    dense = 3 * hidden * text["intermediate_size"]
    if not routed:
        return 0, layers * dense
    sparse = layers - (text.get("first_k_dense_replace") or 0)
    expert = 3 * hidden * (text.get("moe_intermediate_size") or text["intermediate_size"])
    shared = (text.get("n_shared_experts") or 0) * expert
    bias = routed if text.get("topk_method") == "noaux_tc" else 0
    return sparse * routed * expert, (layers - sparse) * dense + sparse * (
        shared + hidden * routed + bias
    )
