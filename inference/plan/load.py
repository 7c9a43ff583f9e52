"""Reads a fleet file, and finds out about its models: errors name file, field and fix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from inference.plan.fleet import Fleet
from inference.plan.hub import of_hub
from inference.plan.model_facts import ModelFacts, of_folder, of_known
from serving.errors import ConfigError
from serving.model_source import find_folder, is_hub_id, no_such_folder

GGUF = ".gguf"


def read_fleet_file(path: Path) -> dict[str, Any]:
    """What the file says, unchecked; raises ConfigError where it is no YAML mapping."""
    try:
        said = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: it cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(said, dict):
        raise ConfigError(f"{path}: it must be a mapping with nodes and models")
    return said


def check_fleet(said: Mapping[str, Any], where: str) -> Fleet:
    """The fleet; raises ConfigError naming the first field that is wrong."""
    try:
        return Fleet.model_validate(said)
    except ValidationError as error:
        first = error.errors()[0]
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{where}: {_field(first['loc'], said)}{text}") from error


def _field(location: tuple[int | str, ...], said: Any) -> str:
    """`nodes.xe9680.cores: `: entries by their names, where they have one."""
    words: list[str] = []
    for part in location:
        try:
            said = said[part]
        except (KeyError, IndexError, TypeError):
            said = None
        name = said.get("name") if isinstance(part, int) and isinstance(said, dict) else None
        words.append(str(part) if name is None else str(name))
    return f"{'.'.join(words)}: " if words else ""


def find_facts(fleet: Fleet, *, token: str | None = None) -> dict[str, ModelFacts]:
    """Of every model's source, asked for side by side; raises ConfigError for one unknown."""
    sources = sorted({model.source for model in fleet.models})
    token = token or os.environ.get("HF_TOKEN")
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = pool.map(lambda source: model_facts(source, token=token), sources)
        return dict(zip(sources, found, strict=True))


def model_facts(source: str, *, token: str | None = None) -> ModelFacts:
    """From a folder here, else the built-in table, else the hub. Blocks; raises ConfigError."""
    folder = find_folder(source)
    if folder is not None and folder.suffix == GGUF:
        raise ConfigError(
            f"source: {source} is a GGUF file, which plans do not read; give the folder of the "
            "checkpoint it was made from",
            param="source",
        )
    if folder is not None:
        return of_folder(source, folder)
    known = of_known(source)
    if known is not None:
        return known
    if not is_hub_id(source):
        raise no_such_folder(source)
    return of_hub(source, token=token)
