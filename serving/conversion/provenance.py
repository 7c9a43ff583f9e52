"""What a converted folder was made of: the checkpoint's content, the data type and the libraries.

Kept in the folder itself. A checkpoint that was copied or moved is the same one, and one that was
changed is another, whatever it is called.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.checkpoint4 import side_files
from serving.conversion.source import WEIGHTS

PROVENANCE_FILE = "made_of.json"
CODE = "*.py"  # that a checkpoint may bring


def write_provenance(made: Path, model_dir: Path, data_type: str, libraries: Iterable[str]) -> None:
    """Note in `made` what it is made of; reads the checkpoint once."""
    files = {path.name: [*_stamp(path), _digest(path)] for path in _content(model_dir)}
    text = json.dumps({"files": files, **_how(data_type, libraries)}, indent=2)
    (made / PROVENANCE_FILE).write_text(text, encoding="utf-8")


def is_made_of(made: Path, model_dir: Path, data_type: str, libraries: Iterable[str]) -> bool:
    """Whether a folder is there and was made of this checkpoint, in this way, with these libraries.

    A folder whose checkpoint's weights are gone is taken at its word. Files are read again only
    where their dates are not those noted.
    """
    try:
        noted = json.loads((made / PROVENANCE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = noted.pop("files")
    if noted != _how(data_type, libraries):
        return False
    if not any(model_dir.glob(WEIGHTS)):
        return True
    now = {path.name: path for path in _content(model_dir)}
    return now.keys() == files.keys() and all(
        _is_same(path, *files[name]) for name, path in now.items()
    )


def _how(data_type: str, libraries: Iterable[str]) -> dict[str, Any]:
    return {"data_type": data_type, "made_with": {name: version(name) for name in libraries}}


def _content(model_dir: Path) -> Iterator[Path]:
    """What of a checkpoint's folder makes a difference."""
    yield from sorted({*model_dir.glob(WEIGHTS), *model_dir.glob(CODE), *side_files(model_dir)})


def _is_same(path: Path, size: int, mtime_ns: int, digest: str) -> bool:
    now_size, now_mtime_ns = _stamp(path)
    return now_size == size and (now_mtime_ns == mtime_ns or _digest(path) == digest)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and date."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
