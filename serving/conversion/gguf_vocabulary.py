"""A tokenizer.json as GGUF's vocabulary: tokens, their kinds, and how text is cut into them.

Pure: parsed JSON in, GGUF's keys and values out. Two kinds are known: byte-level BPE (GPT-2, Llama
3, Qwen) and SentencePiece's BPE with bytes to fall back on (Llama 2, Mistral).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.errors import ConfigError

# Kinds of tokens, as GGUF numbers them.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

NO_MERGE = "<no> <merge>"  # of two texts that are no single bytes: GGUF stores no empty list

# The rules by which byte-level tokenizers cut text before they merge, and llama.cpp's names.
_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {_WORDS + r"\p{N}{1,3}" + _REST: "llama-bpe", _WORDS + r"\p{N}" + _REST: "qwen2"}

Values = dict[str, Any]


def vocabulary(tokenizer: Mapping[str, Any], vocab_size: int) -> Values:
    """GGUF's `tokenizer.ggml.*` for the tokens themselves; raises ConfigError for another kind."""
    model = tokenizer["model"]
    if model.get("type") != "BPE":
        raise _refused(f"is of kind {model.get('type')}, and only BPE is converted here")
    tokens, kinds = _tokens(tokenizer, vocab_size)
    common = {"tokens": tokens, "token_type": kinds}
    if model.get("byte_fallback"):
        return _keys(common | _sentencepiece(tokenizer, tokens))
    merges = [" ".join(_pair(merge)) for merge in model["merges"]] or [NO_MERGE]
    return _keys(common | {"model": "gpt2", "pre": split_rule(tokenizer), "merges": merges})


def special_tokens(ids: Mapping[str, int | None], *, add_bos: bool, add_eos: bool) -> Values:
    """Which tokens begin, end and pad a text, and whether plain texts get the first two."""
    known = {f"{name}_token_id": each for name, each in ids.items() if each is not None}
    return _keys(known | {"add_bos_token": add_bos, "add_eos_token": add_eos})


def split_rule(tokenizer: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer cuts text."""
    steps = _steps(tokenizer.get("pre_tokenizer"))
    byte_level = steps[-1] if steps and steps[-1]["type"] == "ByteLevel" else None
    if byte_level is None or byte_level.get("add_prefix_space"):
        raise _refused("cuts text in a way that llama.cpp has no name for")
    before = [_split(step) for step in steps[:-1]]
    by_words = byte_level.get("use_regex", True)
    if by_words and not before:
        return "gpt-2"
    if by_words and before == ["digits"]:
        return "smollm"
    if not by_words and len(before) == 1 and before[0] in SPLITS:
        return SPLITS[before[0]]
    raise _refused("cuts text in a way that llama.cpp has no name for")


def _split(step: Mapping[str, Any]) -> str:
    if step["type"] == "Digits" and step.get("individual_digits"):
        return "digits"
    pattern = step.get("pattern") if step["type"] == "Split" else None
    return str(pattern.get("Regex")) if isinstance(pattern, dict) else step["type"]


def _steps(pre_tokenizer: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if pre_tokenizer is None:
        return []
    if pre_tokenizer["type"] == "Sequence":
        return [step for each in pre_tokenizer["pretokenizers"] for step in _steps(each)]
    return [pre_tokenizer]


def _tokens(tokenizer: Mapping[str, Any], vocab_size: int) -> tuple[list[str], list[int]]:
    """Texts and kinds by id; what a model has more than its tokenizer is never used."""
    tokens = [f"[PAD{index}]" for index in range(vocab_size)]
    kinds = [UNUSED] * vocab_size
    model = tokenizer["model"]
    added = {each["id"]: each for each in tokenizer.get("added_tokens", [])}
    texts = {index: text for text, index in model["vocab"].items()}
    texts |= {index: each["content"] for index, each in added.items()}
    for index, text in texts.items():
        if index >= vocab_size:
            raise _refused(f"has a token {index}, and the model only {vocab_size} of them")
        tokens[index] = text
        if text == model.get("unk_token"):
            kinds[index] = UNKNOWN
        elif index in added:
            kinds[index] = CONTROL if added[index]["special"] else USER_DEFINED
        elif model.get("byte_fallback") and len(text) == 6 and text.startswith("<0x"):
            kinds[index] = BYTE
        else:
            kinds[index] = NORMAL
    return tokens, kinds


def _sentencepiece(tokenizer: Mapping[str, Any], tokens: list[str]) -> Values:
    """llama.cpp merges the pair of the highest score: that of the earliest merge."""
    ranks: dict[str, int] = {}
    for merge in tokenizer["model"]["merges"]:
        ranks.setdefault("".join(_pair(merge)), len(ranks))
    return {
        "model": "llama",
        "pre": "default",
        "scores": [-float(ranks.get(token, len(ranks))) for token in tokens],
        "add_space_prefix": _adds_space(tokenizer),
    }


def _adds_space(tokenizer: Mapping[str, Any]) -> bool:
    """Whether the first word of a text is read as if a space stood before it."""
    normalizer = tokenizer.get("normalizer") or {}
    parts = normalizer.get("normalizers", [normalizer])
    if any(part.get("type") == "Prepend" for part in parts):
        return True
    metaspace = [
        step for step in _steps(tokenizer.get("pre_tokenizer")) if step["type"] == "Metaspace"
    ]
    return any(step.get("prepend_scheme", "always") != "never" for step in metaspace)


def _pair(merge: str | list[str]) -> tuple[str, str]:
    """A merge's two halves; older files write them as one text."""
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return left, right


def _keys(values: Values) -> Values:
    return {f"tokenizer.ggml.{key}": value for key, value in values.items()}


def _refused(why: str) -> ConfigError:
    return ConfigError(f"the checkpoint's tokenizer {why}; choose another engine for it")
