"""A checkpoint's tokenizer goes into a GGUF file, and must read texts there as it did before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.conversion.check import TEXT
from serving.conversion.gguf_vocabulary import Values, special_tokens, vocabulary
from serving.errors import ConfigError
from serving.tokenizer import CheckpointTokenizer

# What tokenizers cut in different ways: digits, contractions, spaces, scripts, code.
TEXTS = (
    TEXT,
    "3 33 333 3333 33333, 3.14159 and 1,000,000",
    "I've been told he's there; YOU'RE not sure, we'll see what they'd do",
    "\n \n\n  \t\tdef f(x):\n    return x**2  # ~\n\n\n",
    "naïve café, Ελληνικά, кириллица, 日本語のテキスト, 한국어, हिन्दी, العربية",
    '🚀 emoji 👩‍👩‍👧 ///=== ``code`` {"key": [1, 2]} <html></html>',
)


def tokenizer_values(model_dir: Path, vocab_size: int) -> Values:
    """All of GGUF's `tokenizer.*`; raises ConfigError for a tokenizer that llama.cpp has not."""
    path = model_dir / "tokenizer.json"
    try:
        parsed: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{model_dir} has no readable tokenizer.json ({error}); copy that of the model into it"
        ) from error
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(str(model_dir), local_files_only=True)
    eos = tokenizer.eos_token_id
    other_ends = CheckpointTokenizer(model_dir, vocab_size).eos_token_ids - {eos}
    ids = {
        "bos": tokenizer.bos_token_id,
        "eos": eos,
        "eot": min(other_ends, default=None),
        "unknown": tokenizer.unk_token_id,
        "padding": tokenizer.pad_token_id,
    }
    read = tokenizer("a")["input_ids"]
    begins, ends = read[0] == ids["bos"], read[-1] == eos
    values = vocabulary(parsed, vocab_size) | special_tokens(ids, add_bos=begins, add_eos=ends)
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return values | ({"tokenizer.chat_template": template} if template else {})


def check_tokenizer(model_dir: Path, made: Path) -> None:
    """Raise ConfigError if the file cuts a text differently than the checkpoint does."""
    from serving.engines.llama_cpp_tokenizer import GgufTokenizer

    own = GgufTokenizer(made)
    tokenizer = CheckpointTokenizer(model_dir, own.vocab_size)
    own.check_is(tokenizer, tokenizer.num_tokens)
    for text in TEXTS:
        if own.encode(text) != tokenizer.encode(text):
            raise ConfigError(
                f"llama.cpp does not read text as the tokenizer of {model_dir} does (it differs on "
                f"{text[:20]!r}); choose another engine for this model"
            )
