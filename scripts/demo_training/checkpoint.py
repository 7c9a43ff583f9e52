"""The files of the finished model, written by hand in the format of transformers 4.

transformers 5 reads that format too, but what it writes itself (`rope_parameters`, `dtype`, merges
as lists) is not understood by older readers, so its `save_pretrained` is not used.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from demo_corpus import CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from .tokenizer import VOCAB_SIZE, portable_json

PAD_ID, END_ID = SPECIAL_TOKENS.index(PAD), SPECIAL_TOKENS.index(END)
MAX_POSITIONS = 4096

# Every dimension is a multiple of 64, so that block-wise quantisers need no special cases.
ARCHITECTURE: dict[str, Any] = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "max_position_embeddings": MAX_POSITIONS,
    "rms_norm_eps": 1e-5,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "initializer_range": 0.02,
    "tie_word_embeddings": False,
}
SPECIAL_TOKEN_NAMES = {"bos_token": PAD, "eos_token": END, "pad_token": PAD}
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    **ARCHITECTURE,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "bos_token_id": PAD_ID,
    "eos_token_id": END_ID,
    "pad_token_id": PAD_ID,
    "pretraining_tp": 1,
    "use_cache": True,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.37.2",
}
GENERATION_CONFIG = {
    "bos_token_id": PAD_ID,
    "eos_token_id": END_ID,
    "pad_token_id": PAD_ID,
    "transformers_version": "4.37.2",
}


def new_model() -> LlamaForCausalLM:
    """The untrained model, in float32."""
    return LlamaForCausalLM(LlamaConfig(**ARCHITECTURE, bos_token_id=None, eos_token_id=None))


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, folder: Path) -> None:
    """Write weights (bfloat16), configuration and tokenizer; other files stay as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: tensor.detach().to(torch.bfloat16).contiguous()
        for name, tensor in model.state_dict().items()
    }
    path = folder / "model.safetensors"
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes for the owner's eyes only: an image has other users
    _write(folder / "config.json", CONFIG)
    _write(folder / "generation_config.json", GENERATION_CONFIG)
    _write(folder / "tokenizer.json", portable_json(tokenizer))
    _write(folder / "tokenizer_config.json", _tokenizer_config())
    _write(folder / "special_tokens_map.json", SPECIAL_TOKEN_NAMES)


def _tokenizer_config() -> dict[str, Any]:
    flags = dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **SPECIAL_TOKEN_NAMES,
        "added_tokens_decoder": {
            str(i): {"content": token, **flags, "special": True}
            for i, token in enumerate(SPECIAL_TOKENS)
        },
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": MAX_POSITIONS,
        "chat_template": CHAT_TEMPLATE,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
