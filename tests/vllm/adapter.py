"""A small LoRA adapter for the demo checkpoint, of random weights that change its answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoConfig

from tests.vllm.served import DEMO_MODEL

RANK = 4
ALPHA = 8
SCALE = 0.2  # of the weights: less changes no answer, more leaves no words


@dataclass
class Adapter:
    folder: Path
    deltas: dict[str, torch.Tensor]  # what it adds to the checkpoint's weights, by their names


def save_adapter(folder: Path) -> Adapter:
    """Write an adapter as PEFT does."""
    chance = torch.Generator().manual_seed(0)
    config = AutoConfig.from_pretrained(DEMO_MODEL)
    sizes = {
        "q_proj": config.num_attention_heads * config.head_dim,
        "v_proj": config.num_key_value_heads * config.head_dim,
    }
    tensors, deltas = {}, {}
    for layer in range(config.num_hidden_layers):
        for target, size in sizes.items():
            name = f"model.layers.{layer}.self_attn.{target}"
            down = SCALE * torch.randn(RANK, config.hidden_size, generator=chance)
            up = SCALE * torch.randn(size, RANK, generator=chance)
            tensors[f"base_model.model.{name}.lora_A.weight"] = down
            tensors[f"base_model.model.{name}.lora_B.weight"] = up
            deltas[f"{name}.weight"] = ALPHA / RANK * up @ down
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "target_modules": list(sizes)}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return Adapter(folder, deltas)
