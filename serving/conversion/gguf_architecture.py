"""What GGUF calls a checkpoint's sizes and tensors, for the architectures that are made right here.

Pure: a config.json in, names and numbers out. GGUF's names are those of llama.cpp's loader.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.errors import ConfigError

Value = int | float | str
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Architecture:
    """One of llama.cpp's, as far as it differs from the others here."""

    name: str  # llama.cpp's
    rotates_neighbours: bool = False  # a head's numbers 2i and 2i+1, not i and i + half


ARCHITECTURES = {
    "LlamaForCausalLM": Architecture("llama", rotates_neighbours=True),
    "MistralForCausalLM": Architecture("llama", rotates_neighbours=True),
    "Qwen2ForCausalLM": Architecture("qwen2"),
    "Qwen3ForCausalLM": Architecture("qwen3"),
}
EMBEDDING, HEAD = "token_embd.weight", "output.weight"
TENSORS = {
    "model.embed_tokens.weight": EMBEDDING,
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": HEAD,
}
LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
LAYER_TENSOR = re.compile(r"model\.layers\.(\d+)\.(.+)\.(weight|bias)")
COMPUTED = "rotary_emb.inv_freq"  # ends the names of buffers that follow from the config


@dataclass(frozen=True, slots=True)
class Shape:
    """A checkpoint of a known architecture."""

    architecture: Architecture
    config: Mapping[str, Any]

    @property
    def num_heads(self) -> int:
        return int(self.config["num_attention_heads"])

    @property
    def num_kv_heads(self) -> int:
        return int(self.config.get("num_key_value_heads") or self.num_heads)

    @property
    def head_dim(self) -> int:
        return int(self.config.get("head_dim") or self.config["hidden_size"] // self.num_heads)

    @property
    def vocab_size(self) -> int:
        return int(self.config["vocab_size"])

    @property
    def context_length(self) -> int:
        """Tokens for which the model is the checkpoint's: llama.cpp gives it no sliding window."""
        length = int(self.config["max_position_embeddings"])
        window = self.config.get("sliding_window")
        if not window or not self.config.get("use_sliding_window", True):
            return length
        return min(length, int(window))

    @property
    def rope(self) -> Mapping[str, Any]:
        """How positions rotate: transformers 5 says it in one place, earlier ones in two."""
        rope = self.config.get("rope_parameters") or self.config.get("rope_scaling") or {}
        theta = rope.get("rope_theta") or self.config.get("rope_theta") or 10_000.0
        kind = rope.get("rope_type") or rope.get("type") or "default"
        return {**rope, "rope_type": kind, "rope_theta": float(theta)}


def read_architecture(config: Mapping[str, Any]) -> Shape:
    """Raises ConfigError for a checkpoint that would not be made right."""
    names = config.get("architectures") or ["none"]
    architecture = ARCHITECTURES.get(names[0])
    if architecture is None:
        raise _refused(f"is a {names[0]}, and only {', '.join(ARCHITECTURES)} are converted here")
    if "quantization_config" in config:
        raise _refused("is quantised already; convert the checkpoint it was made of")
    if config.get("hidden_act", "silu") != "silu":
        raise _refused(
            f"uses {config['hidden_act']} where llama.cpp's {architecture.name} has silu"
        )
    shape = Shape(architecture, config)
    kind = shape.rope["rope_type"]
    known = (
        ("default", "linear", "llama3") if architecture.name == "llama" else ("default", "linear")
    )
    if kind not in known:
        raise _refused(f"scales positions by {kind}; {', '.join(known)} are converted here")
    return shape


def metadata(shape: Shape) -> dict[str, Value]:
    """GGUF's keys and values; whole numbers are stored as uint32, others as float32."""
    config, rope = shape.config, shape.rope
    values: dict[str, Value] = {
        "context_length": shape.context_length,
        "embedding_length": int(config["hidden_size"]),
        "block_count": int(config["num_hidden_layers"]),
        "feed_forward_length": int(config["intermediate_size"]),
        "vocab_size": shape.vocab_size,
        "attention.head_count": shape.num_heads,
        "attention.head_count_kv": shape.num_kv_heads,
        "attention.key_length": shape.head_dim,
        "attention.value_length": shape.head_dim,
        "attention.layer_norm_rms_epsilon": float(config["rms_norm_eps"]),
        "rope.dimension_count": shape.head_dim,
        "rope.freq_base": rope["rope_theta"],
    }
    if rope["rope_type"] == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    return {f"{shape.architecture.name}.{key}": value for key, value in values.items()}


def tensor_name(name: str, shape: Shape) -> str | None:
    """GGUF's name of a checkpoint's tensor; None for one that is left out."""
    if name.endswith(COMPUTED):
        return None
    if name in TENSORS:
        tied = shape.config.get("tie_word_embeddings", False)
        return None if tied and TENSORS[name] == HEAD else TENSORS[name]
    match = LAYER_TENSOR.fullmatch(name)
    if match is None or match[2] not in LAYER_TENSORS:
        raise _refused(f"has a tensor {name} that llama.cpp's {shape.architecture.name} has not")
    return f"blk.{match[1]}.{LAYER_TENSORS[match[2]]}.{match[3]}"


def arranged(name: str, values: npt.NDArray[Any], shape: Shape) -> npt.NDArray[Any]:
    """The tensor as llama.cpp's rotation wants it: queries' and keys' halves interleaved."""
    heads = {"attn_q": shape.num_heads, "attn_k": shape.num_kv_heads}.get(name.split(".")[-2])
    if heads is None or not shape.architecture.rotates_neighbours:
        return values
    halves = values.reshape(heads, 2, shape.head_dim // 2, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def rope_factors(shape: Shape) -> FloatArray | None:
    """By how much Llama 3 slows each frequency down [head_dim / 2]; None where it does not."""
    rope = shape.rope
    if rope["rope_type"] != "llama3":
        return None
    trained = rope["original_max_position_embeddings"]
    slow, fast, factor = rope["low_freq_factor"], rope["high_freq_factor"], rope["factor"]

    def slowed(index: int) -> float:
        wavelength = 2 * math.pi * rope["rope_theta"] ** (2 * index / shape.head_dim)
        turns = trained / wavelength  # within the length the model was trained on
        if turns > fast:
            return 1.0
        if turns < slow:
            return float(factor)
        smooth = (turns - slow) / (fast - slow)
        return float(1 / ((1 - smooth) / factor + smooth))

    return np.array([slowed(index) for index in range(shape.head_dim // 2)], np.float32)


def _refused(why: str) -> ConfigError:
    return ConfigError(f"the checkpoint {why}; choose another engine for it")
