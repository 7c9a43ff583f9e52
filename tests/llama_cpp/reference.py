"""A decoder in plain numpy, by the book, and small random checkpoints of every architecture.

It reads a checkpoint by Hugging Face's names and rotates by Hugging Face's rule, so it shares
nothing with what it judges.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.contract.engine_contract import DEMO_MODEL
from tests.llama_cpp.tokenizers import QWEN, regex, write_byte_level

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
SIZES = {
    "vocab_size": 2048,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
    "bos_token_id": 0,
    "eos_token_id": 2,
}
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "rope_theta": 10_000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 128,
}
# What is special about each, so that a mistake in it would show.
CHECKPOINTS = {
    "llama": {"architectures": ["LlamaForCausalLM"], "tie_word_embeddings": True},
    "llama-3": {"architectures": ["LlamaForCausalLM"], "rope_parameters": LLAMA3_ROPE},
    "llama-linear": {
        "architectures": ["LlamaForCausalLM"],
        "rope_parameters": {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0},
    },
    "mistral": {
        "architectures": ["MistralForCausalLM"],
        "head_dim": 32,
        "rope_theta": 1e6,
        "sliding_window": 512,
    },
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "use_sliding_window": False},
    "qwen3": {"architectures": ["Qwen3ForCausalLM"], "head_dim": 128, "rope_theta": 1e6},
}


def make_checkpoint(name: str, folder: Path) -> Path:
    """A checkpoint with random weights whose logits spread like a trained model's."""
    config = SIZES | {"tie_word_embeddings": False} | CHECKPOINTS[name]
    config["model_type"] = config["architectures"][0].removesuffix("ForCausalLM").lower()
    folder.mkdir(parents=True)
    for file in TOKENIZER_FILES:
        shutil.copy(DEMO_MODEL / file, folder / file)
    if config["model_type"].startswith("qwen"):  # transformers cuts text by the model's type
        write_byte_level(folder, regex(QWEN), ignore_merges=False)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(random_weights(config), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def random_weights(config: dict) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    hidden, ffn, head = config["hidden_size"], config["intermediate_size"], head_dim(config)
    queries = config["num_attention_heads"] * head
    keys = config["num_key_value_heads"] * head

    def matrix(rows: int, columns: int) -> np.ndarray:
        values = random.standard_normal((rows, columns)) / math.sqrt(columns)
        return values.astype(np.float16)

    def vector(size: int, around: float) -> np.ndarray:
        return (around + 0.3 * random.standard_normal(size)).astype(np.float16)

    weights = {
        "model.embed_tokens.weight": matrix(config["vocab_size"], hidden),
        "model.norm.weight": vector(hidden, 1),
    }
    if not config["tie_word_embeddings"]:
        weights["lm_head.weight"] = matrix(config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        weights |= {
            at + "input_layernorm.weight": vector(hidden, 1),
            at + "self_attn.q_proj.weight": 2 * matrix(queries, hidden),
            at + "self_attn.k_proj.weight": 2 * matrix(keys, hidden),
            at + "self_attn.v_proj.weight": matrix(keys, hidden),
            at + "self_attn.o_proj.weight": matrix(hidden, queries),
            at + "post_attention_layernorm.weight": vector(hidden, 1),
            at + "mlp.gate_proj.weight": matrix(ffn, hidden),
            at + "mlp.up_proj.weight": matrix(ffn, hidden),
            at + "mlp.down_proj.weight": matrix(hidden, ffn),
        }
        if config["architectures"] == ["Qwen2ForCausalLM"]:
            for which, size in (("q", queries), ("k", keys), ("v", keys)):
                weights[f"{at}self_attn.{which}_proj.bias"] = vector(size, 0)
        if config["architectures"] == ["Qwen3ForCausalLM"]:
            for which in "qk":
                weights[f"{at}self_attn.{which}_norm.weight"] = vector(head, 1)
    return weights


def head_dim(config: dict) -> int:
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def reference_logits(folder: Path, token_ids: np.ndarray) -> np.ndarray:
    """Logits [T, vocab] of a text, in 64 bits."""
    config = json.loads((folder / "config.json").read_text())
    weights = {
        name: tensor.astype(np.float64)
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    x = weights["model.embed_tokens.weight"][token_ids]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        part = {name.removeprefix(at): w for name, w in weights.items() if name.startswith(at)}
        x = x + attention(part, normed(x, part["input_layernorm.weight"], config), config)
        y = normed(x, part["post_attention_layernorm.weight"], config)
        gate = y @ part["mlp.gate_proj.weight"].T
        up = y @ part["mlp.up_proj.weight"].T
        x = x + (gate / (1 + np.exp(-gate)) * up) @ part["mlp.down_proj.weight"].T
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    return normed(x, weights["model.norm.weight"], config) @ head.T


def attention(part: dict, x: np.ndarray, config: dict) -> np.ndarray:
    length, size = len(x), head_dim(config)

    def heads(which: str) -> np.ndarray:
        """[heads, T, head_dim]"""
        values = x @ part[f"self_attn.{which}_proj.weight"].T
        values = values + part.get(f"self_attn.{which}_proj.bias", 0)
        values = values.reshape(length, -1, size).swapaxes(0, 1)
        norm = part.get(f"self_attn.{which}_norm.weight")
        values = values if norm is None else normed(values, norm, config)
        return values if which == "v" else rotated(values, config)

    query, key, value = heads("q"), heads("k"), heads("v")
    groups = len(query) // len(key)
    key, value = key.repeat(groups, axis=0), value.repeat(groups, axis=0)
    scores = query @ key.swapaxes(1, 2) / math.sqrt(size)
    scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return (shares @ value).swapaxes(0, 1).reshape(length, -1) @ part["self_attn.o_proj.weight"].T


def rotated(values: np.ndarray, config: dict) -> np.ndarray:
    """Hugging Face's way: the first half of a head turns with the second."""
    angles = np.arange(values.shape[1])[:, None] * frequencies(config)
    angles = np.concatenate([angles, angles], axis=1)
    first, second = np.split(values, 2, axis=-1)
    return values * np.cos(angles) + np.concatenate([-second, first], axis=-1) * np.sin(angles)


def frequencies(config: dict) -> np.ndarray:
    rope = config.get("rope_parameters", {})
    theta = rope.get("rope_theta") or config.get("rope_theta", 10_000.0)
    size = head_dim(config)
    plain = theta ** (-np.arange(0, size, 2) / size)
    kind = rope.get("rope_type")
    if kind == "linear":
        return plain / rope["factor"]
    if kind != "llama3":
        return plain
    trained, low, high = (
        rope[name]
        for name in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor")
    )
    lengths = 2 * np.pi / plain
    smooth = (trained / lengths - low) / (high - low)
    mixed = (1 - smooth) * plain / rope["factor"] + smooth * plain
    slowed = np.where(lengths > trained / low, plain / rope["factor"], mixed)
    return np.where(lengths < trained / high, plain, slowed)


def normed(x: np.ndarray, weight: np.ndarray, config: dict) -> np.ndarray:
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + config["rms_norm_eps"]) * weight
