"""Writes a small sentence encoder of random weights, and the vectors transformers makes with it.

    .cache/convert/bin/python scripts/make_random_encoder.py FAMILY OUT

Needs torch: the environment that `anynode convert` makes has it. `expected.json` holds texts and
their vectors by transformers, one text at a time. Tests convert such checkpoints, and
tests/models/tiny-encoder is one of family bert, converted to int8, without its weights in torch.
"""

from __future__ import annotations

import argparse
import json
import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, AutoTokenizer

SPECIAL_TOKENS = ("[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]")  # 1 is what MPNet pads with
WORDS = ("the", "what", "that", "cat", "dog", "sat", "mat", "capital", "france", "paris", "sun")
MAX_MODEL_LEN = 64
STRENGTH = 0.1  # of the weights: enough that every part of the model changes its answer
TEXTS = (
    "Hello",
    "What is the capital of France?",
    "The cat sat on the mat.",
    "the dog sat in the sun, and what is it to you? " * 2,
    "1, 2, 3",
    "",
)

SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "max_position_embeddings": MAX_MODEL_LEN,
}
BEHIND_PADDING = SIZES | {"max_position_embeddings": MAX_MODEL_LEN + 2}
SPECIAL_IDS = {"cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": SIZES,
    "distilbert": {
        "dim": 64,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 128,
        "max_position_embeddings": MAX_MODEL_LEN,
    },
    "modernbert": SIZES | SPECIAL_IDS | {"local_attention": 16},
    "mpnet": BEHIND_PADDING,
    "nomic_bert": SIZES,
    "qwen3": SIZES | {"num_key_value_heads": 2, "head_dim": 16},
    "roberta": BEHIND_PADDING,
    "xlm-roberta": BEHIND_PADDING,
}
LAST_TOKEN = {"qwen3"}  # families whose texts are their last token; the others are the mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--matryoshka", action="store_true", help="vectors may be cut")
    arguments = parser.parse_args()
    make_encoder(arguments.family, arguments.out, matryoshka=arguments.matryoshka)
    print(f"{arguments.out}: a random {arguments.family}")


def make_encoder(family: str, out: Path, *, matryoshka: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    made = tokenizer()
    made.save(str(out / "tokenizer.json"))
    write_json(out / "tokenizer_config.json", TOKENIZER_CONFIG)
    model = random_model(
        family, made.get_vocab_size(), {"is_matryoshka": True} if matryoshka else {}
    )
    model.save_pretrained(out)
    last = family in LAST_TOKEN
    for name, content in sentence_files(last=last).items():
        (out / name).parent.mkdir(exist_ok=True)
        write_json(out / name, content)
    vectors = {text: vector(out, model, text, last=last) for text in TEXTS}
    write_json(out / "expected.json", vectors)


def random_model(family: str, vocab_size: int, extra: dict[str, Any]) -> Any:
    config = AutoConfig.for_model(
        family, vocab_size=vocab_size, pad_token_id=1, **FAMILIES[family], **extra
    )
    torch.manual_seed(0)
    model = AutoModel.from_config(config).eval()
    with torch.no_grad():
        for weight in model.parameters():  # biases and norms as well, which begin as 0 and 1
            weight.add_(torch.randn_like(weight) * STRENGTH)
    return model


def vector(folder: Path, model: Any, text: str, *, last: bool) -> list[float]:
    """The mean of a text's last hidden states, or the last of them, as a unit vector."""
    ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        hidden = model(input_ids=ids).last_hidden_state[0]
    pooled = hidden[-1] if last else hidden.mean(dim=0)
    numbers: list[float] = torch.nn.functional.normalize(pooled, dim=0).tolist()
    return [round(number, 8) for number in numbers]


def tokenizer() -> Tokenizer:
    """Characters and a few words, any case."""
    characters = string.ascii_lowercase + string.digits
    pieces = [*SPECIAL_TOKENS, *string.punctuation, *characters, *(f"##{c}" for c in characters)]
    pieces += [word for word in WORDS if word not in pieces]
    ids = {piece: index for index, piece in enumerate(pieces)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(list(SPECIAL_TOKENS))
    return made


TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "model_max_length": MAX_MODEL_LEN,
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
MODULES = "sentence_transformers.models."


def sentence_files(*, last: bool) -> dict[str, object]:
    """What sentence-transformers writes beside a checkpoint."""
    return {
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{MODULES}Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{MODULES}Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{MODULES}Normalize"},
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": 64,
            "pooling_mode_mean_tokens": not last,
            "pooling_mode_lasttoken": last,
        },
        "sentence_bert_config.json": {"max_seq_length": 48, "do_lower_case": False},
    }


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    main()
