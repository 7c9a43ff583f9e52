"""Tokenizers of the kinds that checkpoints have, small."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from serving.conversion.gguf_tokenizer import TEXTS
from tests.contract.engine_contract import DEMO_MODEL

BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = LLAMA_3.replace("{1,3}", "")
SPECIAL = ("<unk>", "<s>", "</s>")


def write_byte_level(folder: Path, split: dict, *, ignore_merges: bool) -> None:
    """The demo model's tokens, of a text that is cut in another way before."""
    tokenizer = json.loads((DEMO_MODEL / "tokenizer.json").read_text())
    last = BYTE_LEVEL | {"use_regex": split["type"] == "Digits"}
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, last]}
    tokenizer["model"]["ignore_merges"] = ignore_merges
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def regex(pattern: str) -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def write_sentencepiece(folder: Path, vocab_size: int) -> None:
    """As Llama 2's: words begin with ▁, a merge for every token, bytes for unknown characters."""
    spaces = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained = Tokenizer(models.BPE())
    trained.normalizer = spaces
    trained.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    texts = [line for text in TEXTS[:2] for line in [text] * 20]
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=vocab_size - 300))
    learnt = json.loads(trained.to_str())["model"]
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *learnt["vocab"]]
    made = Tokenizer(
        models.BPE(
            vocab={piece: index for index, piece in enumerate(dict.fromkeys(pieces))},
            merges=[tuple(merge) for merge in learnt["merges"]],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    made.normalizer = spaces
    made.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    made.add_special_tokens(list(SPECIAL))
    made.save(str(folder / "tokenizer.json"))
    ends = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    config = {"tokenizer_class": "PreTrainedTokenizerFast"} | ends
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
