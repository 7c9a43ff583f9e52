"""Where a conversion works: beside its result, one converter at a time, and not for nothing.

    model/.converting-onnx/    locked while a converter is at it, also by one on another machine
        request.json           what is being made of what; another request starts afresh
        int8/  int8.done       a stage that is finished; a converter killed later goes on from here
    model/onnx/                appears by one rename, whole and checked

A stage that did not finish is removed and done again.
"""

from __future__ import annotations

import errno
import fcntl
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.source import Checkpoint
from serving.errors import ConfigError
from serving.memory import available_bytes

Progress = Callable[[str], None]
"""Told the name of each stage as it begins, or why there is a wait."""


class Workplace:
    """The folder of one conversion while it is locked."""

    def __init__(self, folder: Path, target: Path, progress: Progress) -> None:
        self._folder = folder
        self.target = target
        self._progress = progress

    def say(self, what: str) -> None:
        """Tell whoever waits what is being done."""
        self._progress(what)

    def stage(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder `name` as `make` fills it, unless an earlier conversion already has."""
        folder, done = self._folder / name, self._folder / f"{name}.done"
        if done.exists() and folder.is_dir():  # it may have become the target already
            self._progress(f"{name}: finished before")
            return folder
        self._progress(name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            make(folder)
        except Exception:
            shutil.rmtree(folder)
            raise
        done.touch()
        return folder

    def abandon(self) -> None:
        """Forget everything: there is nothing to be made."""
        shutil.rmtree(self._folder)

    def publish(self, made: Path) -> None:
        """Let `made`, a folder or a file, become the target, and forget the rest."""
        if self.target.is_dir():  # a file is replaced by the rename itself
            shutil.rmtree(self.target)
        made.rename(self.target)
        shutil.rmtree(self._folder)


@contextmanager
def workplace(
    target: Path, request: Mapping[str, Any], progress: Progress
) -> Iterator[Workplace | None]:
    """The workplace for making `target`, or None if somebody else made it while we waited.

    Raises ConfigError when the disk is full.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.parent / f".converting-{target.name}"
    with _locked(target.parent / f".converting-{target.name}.lock", progress) as waited:
        if waited and target.exists():
            yield None
            return
        _start_afresh_unless(folder, request)
        try:
            yield Workplace(folder, target, progress)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            shutil.rmtree(folder, ignore_errors=True)
            raise ConfigError(
                f"the disk of {target.parent} is full; nothing was left on it. Free some space or "
                "name a folder elsewhere with --output"
            ) from error


@contextmanager
def _locked(path: Path, progress: Progress) -> Iterator[bool]:
    """Hold the lock; whether we had to wait for it. The kernel frees it when its holder dies."""
    with path.open("w") as file:
        waited = False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another converter of this model")
            fcntl.flock(file, fcntl.LOCK_EX)
            waited = True
        yield waited  # the file stays: one removed here might be another's lock already


def _start_afresh_unless(folder: Path, request: Mapping[str, Any]) -> None:
    """Keep what is there only if the same was asked for."""
    text = json.dumps(request, sort_keys=True)
    asked = folder / "request.json"
    if asked.is_file() and asked.read_text() == text:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    asked.write_text(text)


def check_room(checkpoint: Checkpoint, target: Path, *, disk_bytes: int, memory_bytes: int) -> None:
    """Raise ConfigError where the conversion would run out of either half-way."""
    place = next(each for each in target.absolute().parents if each.is_dir())
    for what, needed, free, fix in (
        (
            "disk",
            disk_bytes,
            shutil.disk_usage(place).free,
            "free some, or name --output elsewhere",
        ),
        ("memory", memory_bytes, available_bytes(), "convert it on a machine with more"),
    ):
        if needed > free:
            raise ConfigError(
                f"converting {checkpoint.folder} needs {needed / 1e9:.1f} GB of {what} and only "
                f"{free / 1e9:.1f} GB are free; {fix}"
            )


def identity(model_dir: Path, data_type: str, made_with: Iterable[str]) -> dict[str, Any]:
    """What a half-finished conversion must be of to be gone on with."""
    files = [
        path
        for path in sorted(model_dir.iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]
    return {
        "files": [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files],
        "data_type": data_type,
        "made_with": {name: version(name) for name in made_with},
    }
