"""Which GGUF file of a model folder is meant. Reads names only."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from serving.errors import ConfigError
from serving.model_source import GGUF_SUFFIX

GGUF_FOLDER = "gguf"  # of a checkpoint's folder, where converted files go
PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf")  # of a model in several; the first opens all
NO_MODEL = "mmproj"  # begins the names of image encoders


def choose_file(source: Path, wanted: str | None) -> Path:
    """The file `wanted` of a folder, or its only one; a path to a file is that file.

    Raises ConfigError that names what there is.
    """
    if source.suffix == GGUF_SUFFIX and source.is_file():
        if wanted is not None and source.name != wanted:
            raise ConfigError(
                f"engine_kwargs.gguf_file: model_name is a file already ({source}); leave it out",
                param="engine_kwargs.gguf_file",
            )
        return source
    files = gguf_files(source)
    if wanted is not None:
        return _named(source, wanted, files)
    if not files:
        raise ConfigError(
            f"model_name: {source} holds no GGUF file; put one there, or make one of its "
            f"checkpoint in {GGUF_FOLDER}/",
            param="model_name",
        )
    if len(files) > 1:
        raise ConfigError(
            f"engine_kwargs.gguf_file: {source} holds several ({_names(files)}); say which one",
            param="engine_kwargs.gguf_file",
        )
    return files[0]


def gguf_files(folder: Path) -> list[Path]:
    """Models of a folder and of its gguf/; of one in several parts, the first."""
    found = [*folder.glob(f"*{GGUF_SUFFIX}"), *(folder / GGUF_FOLDER).glob(f"*{GGUF_SUFFIX}")]
    return sorted(
        path
        for path in found
        if path.is_file() and path == parts(path)[0] and not path.name.startswith(NO_MODEL)
    )


def parts(path: Path) -> list[Path]:
    """The files of a model that `path` is one of, the first one first."""
    match = PART.fullmatch(path.name)
    if match is None:
        return [path]
    name, _, count = match.groups()
    return sorted(path.parent.glob(f"{glob.escape(name)}-?????-of-{count}{GGUF_SUFFIX}"))


def _named(source: Path, wanted: str, files: list[Path]) -> Path:
    for path in (source / wanted, source / GGUF_FOLDER / wanted):
        if path.is_file():
            return path
    raise ConfigError(
        f"engine_kwargs.gguf_file: there is no '{wanted}' in {source}; it holds "
        f"{_names(files) or 'no GGUF file'}",
        param="engine_kwargs.gguf_file",
    )


def _names(files: list[Path]) -> str:
    return ", ".join(path.name for path in files)
