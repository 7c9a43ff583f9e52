"""Tiny models of many architectures with random weights, as checkpoints' folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

VOCAB = 128  # as wide as some inner products, which the library then takes for the last one
SIZES: dict[str, Any] = {  # products in multiples of 64, as the library wants them
    "vocab_size": VOCAB,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
OLD_NAMES = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 256, "n_ctx": 256}


def tiny(model_type: str, **sizes: Any) -> Any:
    """A model of random weights, wide enough that its logits differ from token to token."""
    words = {**SIZES, **sizes}
    if model_type == "falcon":
        del words["max_position_embeddings"]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **words))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model.float().eval()


def saved(folder: Path, model_type: str, **sizes: Any) -> Path:
    """The same as a checkpoint's folder, without a tokenizer."""
    tiny(model_type, **sizes).save_pretrained(folder)
    return folder
