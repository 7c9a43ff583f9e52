"""Tiny models of many architectures with random weights, made where they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from serving.engines.transformers_model import CausalModel

torch.set_num_threads(1)  # models this small only wait for a second one

VOCAB = 99
WINDOW = 6  # tokens; every sliding or chunked architecture here has it
SIZES: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
HEADS = {"head_dim": 8}
OLD_NAMES = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "n_ctx": 256}
LATENT = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "num_key_value_heads": 4,
}
EXPERTS = {"num_local_experts": 4, "num_experts_per_tok": 2}
SLIDING = {**HEADS, "sliding_window": WINDOW}
MIXED = {**SLIDING, "num_hidden_layers": 7}  # some layers slide and some see everything
STATE = {"state_size": 8}

# All rows of these decode in one call.
TOGETHER: dict[str, dict[str, Any]] = {
    "llama": HEADS,
    "mistral": SLIDING,
    "mixtral": {**HEADS, **EXPERTS},
    "qwen2": {**SLIDING, "use_sliding_window": True, "max_window_layers": 1},
    "qwen3": HEADS,
    "qwen3_moe": {**HEADS, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "gemma": HEADS,
    "gemma2": SLIDING,
    "gemma3_text": MIXED,
    "phi": {},
    "phi3": {"sliding_window": WINDOW},
    "olmo": {},
    "olmo2": {},
    "olmo3": MIXED,
    "cohere2": MIXED,
    "starcoder2": {"sliding_window": WINDOW},
    "stablelm": {},
    "granite": {},
    "gpt2": OLD_NAMES,
    "gpt_neox": {},
    "gpt_bigcode": OLD_NAMES,
    "gptj": {**OLD_NAMES, "rotary_dim": 4},
    "codegen": {**OLD_NAMES, "rotary_dim": 4},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 4},
    "falcon": {"alibi": False},
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2},
    "gpt_oss": {**SLIDING, **EXPERTS},
    "llama4_text": {**HEADS, **EXPERTS, "attention_chunk_size": WINDOW, "num_hidden_layers": 5},
    "deepseek_v3": {
        **LATENT,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 1,
        "topk_group": 1,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
    },
}

# Each row of these has a cache of its own, and this is how far its model can go on from it.
ROW_BY_ROW: dict[str, tuple[str, dict[str, Any]]] = {
    "mamba": ("TOKENS", STATE),
    "mamba2": ("CHUNKS", {**STATE, "num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "falcon_mamba": ("TOKENS", STATE),
    "jamba": (
        "TOKENS",
        {
            "num_hidden_layers": 4,
            "num_experts": 2,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 8,
            "mamba_dt_rank": 4,
            "use_mamba_kernels": False,
        },
    ),
    "qwen3_next": (
        "CHUNKS",
        {
            **HEADS,
            "num_hidden_layers": 4,
            "num_experts": 2,
            "num_experts_per_tok": 1,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
    "gpt_neo": (
        "CHUNKS",
        {
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": WINDOW,
        },
    ),
    "rwkv": ("CHUNKS", {"attention_hidden_size": 32, "context_length": 256}),
    "bart": (
        "CHUNKS",
        {"d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48},
    ),
    "openai-gpt": ("WHOLE", OLD_NAMES),
}


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


def tiny_causal(model_type: str, **sizes: Any) -> CausalModel:
    return CausalModel(tiny(model_type, **sizes))


def saved(folder: Path, model_type: str, **sizes: Any) -> Path:
    """The same as a checkpoint's folder, without a tokenizer."""
    tiny(model_type, **sizes).save_pretrained(folder)
    return folder
