"""Shapes of well-known models, so that a plan for them needs neither their files nor a network.

The words and numbers are those of each model's published config.json; the parameters that follow
from them are compared with the published counts by this module's test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _decoder(  # noqa: PLR0917  the columns of a table
    kind: str,
    hidden: int,
    layers: int,
    heads: tuple[int, int],  # of queries, of keys and values
    ffn: int,
    vocab: int,
    context: int,
    **more: Any,
) -> dict[str, Any]:
    return {
        "model_type": kind,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "intermediate_size": ffn,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "dtype": "bfloat16",
        **more,
    }


TIED = {"tie_word_embeddings": True}
_EIGHT_EXPERTS = {"num_local_experts": 8, "num_experts_per_tok": 2}
_MANY_EXPERTS = {"num_experts": 128, "num_experts_per_tok": 8, "head_dim": 128}
_LATENT = {
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}

_LLAMA_2_7B = _decoder("llama", 4096, 32, (32, 32), 11008, 32000, 4096)
_LLAMA_2_13B = _decoder("llama", 5120, 40, (40, 40), 13824, 32000, 4096)
_LLAMA_2_70B = _decoder("llama", 8192, 80, (64, 8), 28672, 32000, 4096)
_LLAMA_3_8B = _decoder("llama", 4096, 32, (32, 8), 14336, 128256, 8192)
_LLAMA_3_70B = _decoder("llama", 8192, 80, (64, 8), 28672, 128256, 8192)
_LLAMA_31_8B = {**_LLAMA_3_8B, "max_position_embeddings": 131072}
_LLAMA_31_70B = {**_LLAMA_3_70B, "max_position_embeddings": 131072}
_LLAMA_31_405B = _decoder("llama", 16384, 126, (128, 8), 53248, 128256, 131072)
_LLAMA_32_1B = _decoder("llama", 2048, 16, (32, 8), 8192, 128256, 131072, head_dim=64, **TIED)
_LLAMA_32_3B = _decoder("llama", 3072, 28, (24, 8), 8192, 128256, 131072, head_dim=128, **TIED)
_MISTRAL_7B = _decoder("mistral", 4096, 32, (32, 8), 14336, 32000, 32768)
_MISTRAL_7B_V3 = {**_MISTRAL_7B, "vocab_size": 32768}
_MIXTRAL_8X7B = _decoder("mixtral", 4096, 32, (32, 8), 14336, 32000, 32768, **_EIGHT_EXPERTS)
_MIXTRAL_8X22B = _decoder("mixtral", 6144, 56, (48, 8), 16384, 32768, 65536, **_EIGHT_EXPERTS)
_QWEN_25 = {
    "0.5B": _decoder("qwen2", 896, 24, (14, 2), 4864, 151936, 32768, **TIED),
    "1.5B": _decoder("qwen2", 1536, 28, (12, 2), 8960, 151936, 32768, **TIED),
    "3B": _decoder("qwen2", 2048, 36, (16, 2), 11008, 151936, 32768, **TIED),
    "7B": _decoder("qwen2", 3584, 28, (28, 4), 18944, 152064, 32768),
    "14B": _decoder("qwen2", 5120, 48, (40, 8), 13824, 152064, 32768),
    "32B": _decoder("qwen2", 5120, 64, (40, 8), 27648, 152064, 32768),
    "72B": _decoder("qwen2", 8192, 80, (64, 8), 29568, 152064, 32768),
}
_QWEN_3 = {
    "0.6B": _decoder("qwen3", 1024, 28, (16, 8), 3072, 151936, 40960, head_dim=128, **TIED),
    "1.7B": _decoder("qwen3", 2048, 28, (16, 8), 6144, 151936, 40960, head_dim=128, **TIED),
    "4B": _decoder("qwen3", 2560, 36, (32, 8), 9728, 151936, 40960, head_dim=128, **TIED),
    "8B": _decoder("qwen3", 4096, 36, (32, 8), 12288, 151936, 40960, head_dim=128),
    "14B": _decoder("qwen3", 5120, 40, (40, 8), 17408, 151936, 40960, head_dim=128),
    "32B": _decoder("qwen3", 5120, 64, (64, 8), 25600, 151936, 40960, head_dim=128),
    "30B-A3B": _decoder(
        "qwen3_moe", 2048, 48, (32, 4), 6144, 151936, 40960, moe_intermediate_size=768
    )
    | _MANY_EXPERTS,
    "235B-A22B": _decoder(
        "qwen3_moe", 4096, 94, (64, 4), 12288, 151936, 40960, moe_intermediate_size=1536
    )
    | _MANY_EXPERTS,
}
_GEMMA_2B = _decoder("gemma", 2048, 18, (8, 1), 16384, 256000, 8192, head_dim=256)
_GEMMA_7B = _decoder("gemma", 3072, 28, (16, 16), 24576, 256000, 8192, head_dim=256)
_GEMMA_2_2B = _decoder("gemma2", 2304, 26, (8, 4), 9216, 256000, 8192, head_dim=256)
_GEMMA_2_9B = _decoder("gemma2", 3584, 42, (16, 8), 14336, 256000, 8192, head_dim=256)
_GEMMA_2_27B = _decoder("gemma2", 4608, 46, (32, 16), 36864, 256000, 8192, head_dim=128)
_SMOLLM2_17B = _decoder("llama", 2048, 24, (32, 32), 8192, 49152, 8192, **TIED)
_YI_6B = _decoder("llama", 4096, 32, (32, 4), 11008, 64000, 4096)
_YI_34B = _decoder("llama", 7168, 60, (56, 8), 20480, 64000, 4096)
_DEEPSEEK_V2_LITE = _decoder(
    "deepseek_v2", 2048, 27, (16, 16), 10944, 102400, 163840, **_LATENT,
    moe_intermediate_size=1408, n_routed_experts=64, num_experts_per_tok=6, n_shared_experts=2,
    first_k_dense_replace=1,
)  # fmt: skip
_DEEPSEEK_V3 = _decoder(
    "deepseek_v3", 7168, 61, (128, 128), 18432, 129280, 163840, **_LATENT, q_lora_rank=1536,
    moe_intermediate_size=2048, n_routed_experts=256, num_experts_per_tok=8, n_shared_experts=1,
    first_k_dense_replace=3, topk_method="noaux_tc", quantization_config={"quant_method": "fp8"},
)  # fmt: skip

KNOWN_MODELS: Mapping[str, Mapping[str, Any]] = {
    "meta-llama/Llama-2-7b-hf": _LLAMA_2_7B,
    "meta-llama/Llama-2-7b-chat-hf": _LLAMA_2_7B,
    "meta-llama/Llama-2-13b-hf": _LLAMA_2_13B,
    "meta-llama/Llama-2-13b-chat-hf": _LLAMA_2_13B,
    "meta-llama/Llama-2-70b-hf": _LLAMA_2_70B,
    "meta-llama/Llama-2-70b-chat-hf": _LLAMA_2_70B,
    "meta-llama/Meta-Llama-3-8B": _LLAMA_3_8B,
    "meta-llama/Meta-Llama-3-8B-Instruct": _LLAMA_3_8B,
    "meta-llama/Meta-Llama-3-70B": _LLAMA_3_70B,
    "meta-llama/Meta-Llama-3-70B-Instruct": _LLAMA_3_70B,
    "meta-llama/Llama-3.1-8B": _LLAMA_31_8B,
    "meta-llama/Llama-3.1-8B-Instruct": _LLAMA_31_8B,
    "meta-llama/Llama-3.1-70B": _LLAMA_31_70B,
    "meta-llama/Llama-3.1-70B-Instruct": _LLAMA_31_70B,
    "meta-llama/Llama-3.1-405B": _LLAMA_31_405B,
    "meta-llama/Llama-3.1-405B-Instruct": _LLAMA_31_405B,
    "meta-llama/Llama-3.2-1B": _LLAMA_32_1B,
    "meta-llama/Llama-3.2-1B-Instruct": _LLAMA_32_1B,
    "meta-llama/Llama-3.2-3B": _LLAMA_32_3B,
    "meta-llama/Llama-3.2-3B-Instruct": _LLAMA_32_3B,
    "meta-llama/Llama-3.3-70B-Instruct": _LLAMA_31_70B,
    "mistralai/Mistral-7B-v0.1": _MISTRAL_7B,
    "mistralai/Mistral-7B-Instruct-v0.1": _MISTRAL_7B,
    "mistralai/Mistral-7B-Instruct-v0.2": _MISTRAL_7B,
    "mistralai/Mistral-7B-v0.3": _MISTRAL_7B_V3,
    "mistralai/Mistral-7B-Instruct-v0.3": _MISTRAL_7B_V3,
    "mistralai/Mixtral-8x7B-v0.1": _MIXTRAL_8X7B,
    "mistralai/Mixtral-8x7B-Instruct-v0.1": _MIXTRAL_8X7B,
    "mistralai/Mixtral-8x22B-Instruct-v0.1": _MIXTRAL_8X22B,
    **{f"Qwen/Qwen2.5-{size}": shape for size, shape in _QWEN_25.items()},
    **{f"Qwen/Qwen2.5-{size}-Instruct": shape for size, shape in _QWEN_25.items()},
    **{f"Qwen/Qwen3-{size}": shape for size, shape in _QWEN_3.items()},
    "google/gemma-2b": _GEMMA_2B,
    "google/gemma-2b-it": _GEMMA_2B,
    "google/gemma-7b": _GEMMA_7B,
    "google/gemma-7b-it": _GEMMA_7B,
    "google/gemma-2-2b": _GEMMA_2_2B,
    "google/gemma-2-2b-it": _GEMMA_2_2B,
    "google/gemma-2-9b": _GEMMA_2_9B,
    "google/gemma-2-9b-it": _GEMMA_2_9B,
    "google/gemma-2-27b": _GEMMA_2_27B,
    "google/gemma-2-27b-it": _GEMMA_2_27B,
    "microsoft/Phi-3-mini-4k-instruct": _decoder(
        "phi3", 3072, 32, (32, 32), 8192, 32064, 4096
    ),
    "microsoft/Phi-3-medium-4k-instruct": _decoder(
        "phi3", 5120, 40, (40, 10), 17920, 32064, 4096
    ),
    "microsoft/phi-4": _decoder("phi3", 5120, 40, (40, 10), 17920, 100352, 16384),
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": _decoder(
        "llama", 2048, 22, (32, 4), 5632, 32000, 2048
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": _decoder(
        "llama", 576, 30, (9, 3), 1536, 49152, 8192, **TIED
    ),
    "HuggingFaceTB/SmolLM2-360M-Instruct": _decoder(
        "llama", 960, 32, (15, 5), 2560, 49152, 8192, **TIED
    ),
    "HuggingFaceTB/SmolLM2-1.7B-Instruct": _SMOLLM2_17B,
    "01-ai/Yi-6B": _YI_6B,
    "01-ai/Yi-6B-Chat": _YI_6B,
    "01-ai/Yi-34B": _YI_34B,
    "01-ai/Yi-34B-Chat": _YI_34B,
    "deepseek-ai/DeepSeek-V2-Lite": _DEEPSEEK_V2_LITE,
    "deepseek-ai/DeepSeek-V2-Lite-Chat": _DEEPSEEK_V2_LITE,
    "deepseek-ai/DeepSeek-V3": _DEEPSEEK_V3,
    "deepseek-ai/DeepSeek-R1": _DEEPSEEK_V3,
}  # fmt: skip
