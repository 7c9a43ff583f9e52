"""Writes a Llama checkpoint of random weights, to measure and test with before there is a model.

    python scripts/make_random_checkpoint.py {tiny,110m,1b} OUT

Needs only the base environment (numpy, safetensors, tokenizers). The same shape is always the same
file, bit for bit. The text such a model makes is noise; its speed and memory are a real model's.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

SPECIAL_TOKENS = ("<unk>", "<s>", "</s>")
EOS_TOKEN_ID = 2
# Whole multiples of one step, and in each block the ends of what four bits can say: int4 keeps them
# as they are. Rounded, a deep model of random weights would be another one altogether.
WEIGHT_STEP = 2.0**-7
NORMAL_STEPS = 2.5  # of standard deviation; with the step about Llama's initializer_range, 0.02
LOWEST, HIGHEST = -8, 7
BLOCK = 32


@dataclass(frozen=True)
class Shape:
    """The sizes that make a Llama."""

    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    context: int
    tied: bool

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads


SHAPES = {
    "tiny": Shape(512, 64, 192, 2, 4, 2, context=2048, tied=True),
    "110m": Shape(32_000, 768, 2048, 12, 12, 4, context=2048, tied=False),
    "1b": Shape(32_000, 2048, 5632, 22, 32, 4, context=2048, tied=False),  # TinyLlama's
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    make_checkpoint(SHAPES[arguments.shape], arguments.out)
    print(f"{arguments.out}: a random {arguments.shape} Llama")


def make_checkpoint(shape: Shape, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights(shape)), out / "model.safetensors", metadata={"format": "pt"})
    ends = {"bos_token_id": 1, "eos_token_id": EOS_TOKEN_ID}
    write_json(out / "config.json", config(shape) | ends)
    write_json(out / "generation_config.json", ends)
    tokenizer(shape.vocab).save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", TOKENIZER_CONFIG)


def config(shape: Shape) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float16",
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "max_position_embeddings": shape.context,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
        "tie_word_embeddings": shape.tied,
    }


def weights(shape: Shape) -> Iterator[tuple[str, npt.NDArray[np.float16]]]:
    """Every tensor under the name transformers gives it; linear weights are [out, in]."""
    random = np.random.default_rng(0)

    def normal(*size: int) -> npt.NDArray[np.float16]:
        steps = np.rint(random.standard_normal((math.prod(size) // BLOCK, BLOCK)) * NORMAL_STEPS)
        steps = steps.clip(LOWEST + 1, HIGHEST - 1)
        lowest = random.integers(BLOCK, size=len(steps))
        highest = (lowest + random.integers(1, BLOCK, size=len(steps))) % BLOCK
        steps[np.arange(len(steps)), lowest] = LOWEST
        steps[np.arange(len(steps)), highest] = HIGHEST
        return (steps * WEIGHT_STEP).astype(np.float16).reshape(size)

    norm = np.ones(shape.hidden, np.float16)
    kv_size = shape.kv_heads * shape.head_dim
    yield "model.embed_tokens.weight", normal(shape.vocab, shape.hidden)
    for layer in range(shape.layers):
        name = f"model.layers.{layer}."
        yield name + "input_layernorm.weight", norm
        yield name + "self_attn.q_proj.weight", normal(shape.hidden, shape.hidden)
        yield name + "self_attn.k_proj.weight", normal(kv_size, shape.hidden)
        yield name + "self_attn.v_proj.weight", normal(kv_size, shape.hidden)
        yield name + "self_attn.o_proj.weight", normal(shape.hidden, shape.hidden)
        yield name + "post_attention_layernorm.weight", norm
        yield name + "mlp.gate_proj.weight", normal(shape.ffn, shape.hidden)
        yield name + "mlp.up_proj.weight", normal(shape.ffn, shape.hidden)
        yield name + "mlp.down_proj.weight", normal(shape.hidden, shape.ffn)
    yield "model.norm.weight", norm
    if not shape.tied:
        yield "lm_head.weight", normal(shape.vocab, shape.hidden)


def tokenizer(vocab: int) -> Tokenizer:
    """Bytes, with tokens that no text uses filling the vocabulary up."""
    pieces = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    pieces += [f"<unused_{index}>" for index in range(vocab - len(pieces))]
    ids = {piece: index for index, piece in enumerate(pieces)}
    made = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(list(SPECIAL_TOKENS))
    return made


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "chat_template": (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    ),
}


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    main()
