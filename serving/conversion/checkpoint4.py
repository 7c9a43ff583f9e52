"""A checkpoint's folder as libraries read it that stayed with some version of transformers 4."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from serving.conversion.transformers4 import (
    config_for_4,
    tokenizer_config_for_4,
    tokenizer_for_4_37,
)

Rewrite = Callable[[dict[str, Any]], dict[str, Any]]

REWRITTEN: Mapping[str, Rewrite] = {
    "config.json": config_for_4,
    "tokenizer_config.json": tokenizer_config_for_4,
}
REWRITTEN_FOR_4_37: Mapping[str, Rewrite] = {**REWRITTEN, "tokenizer.json": tokenizer_for_4_37}
CHAT_TEMPLATE = "chat_template.jinja"  # a file of its own since 4.50
SIDE_FILES = (  # beside weights or a graph, for the tokenizer and for where texts end
    "config.json",
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "chat_template*",
)


def side_files(folder: Path) -> Iterator[Path]:
    """Those of SIDE_FILES that a folder has."""
    for pattern in SIDE_FILES:
        yield from folder.glob(pattern)


def checkpoint_for_4(
    model_dir: Path, target: Path, rewritten: Mapping[str, Rewrite] = REWRITTEN
) -> None:
    """A folder like the checkpoint's, in the words of transformers 4; weights are linked.

    Raises ConfigError for what these words cannot say.
    """
    for path in model_dir.iterdir():
        if path.name in rewritten:
            old = rewritten[path.name](json.loads(path.read_text(encoding="utf-8")))
            (target / path.name).write_text(json.dumps(old, indent=2), encoding="utf-8")
        elif path.is_file():
            (target / path.name).symlink_to(path.resolve())


def checkpoint_for_4_37(model_dir: Path, target: Path) -> None:
    """The same for transformers 4.37, which also wants the chat template beside the tokens."""
    checkpoint_for_4(model_dir, target, REWRITTEN_FOR_4_37)
    template = model_dir / CHAT_TEMPLATE
    if template.is_file():
        path = target / "tokenizer_config.json"
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        config["chat_template"] = template.read_text(encoding="utf-8")
        path.write_text(json.dumps(config, indent=2), encoding="utf-8")
