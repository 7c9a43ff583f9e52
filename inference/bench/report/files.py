"""Reports on disk: PREFIX.json, from which everything can be made again, .md, .csv and .html."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import ValidationError

from inference.bench.report import markdown, table
from inference.bench.report.model import SCHEMA_VERSION, Report
from serving.errors import ConfigError

SUFFIXES = (".json", ".md", ".csv", ".html")
NO_PLOTS = "the HTML page was not written: its plots need matplotlib; pip install 'anynode[bench]'"

logger = logging.getLogger(__name__)

Render = Callable[[Report], str]


def check_writable(prefix: Path) -> None:
    """Raise ConfigError now rather than after an hour's run; leaves nothing behind."""
    folder = prefix.parent
    if not prefix.name or prefix.is_dir():
        raise _wrong(f"{prefix} is a folder; add the files' name, as in {prefix / 'run'}")
    if prefix.suffix in SUFFIXES:
        raise _wrong(f"{prefix} is a file's name; leave out {prefix.suffix}")
    if not folder.is_dir():
        raise _wrong(f"there is no folder {folder}; make it: mkdir -p {folder}")
    for path in (_path(prefix, suffix) for suffix in SUFFIXES):
        if path.is_dir():
            raise _wrong(f"{path} is a folder; choose another prefix")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _wrong(f"cannot write into {folder}: {error.strerror}") from error


def _wrong(reason: str) -> ConfigError:
    return ConfigError(f"--output: {reason}", param="output")


def write(report: Report, prefix: Path) -> list[Path]:
    """Each file whole or not at all; returns those written.

    A file that fails does not keep the others from being written; ConfigError then names it.
    Without matplotlib there is no page, and a note says so.
    """
    renders: dict[str, Render] = {".json": to_json, ".md": markdown.render, ".csv": to_csv}
    if find_spec("matplotlib"):
        renders[".html"] = _page
    else:
        logger.warning(NO_PLOTS)
        report = report.model_copy(update={"notes": [*report.notes, NO_PLOTS]})
    return _write_all(report, {_path(prefix, suffix): each for suffix, each in renders.items()})


def _write_all(report: Report, files: Mapping[Path, Render]) -> list[Path]:
    written: list[Path] = []
    failed: list[str] = []
    for path, render in files.items():
        try:
            write_whole(path, render(report))
            written.append(path)
        except Exception as error:  # hours of measuring stand behind the other files
            failed.append(f"{path}: {error}")
            logger.debug("%s was not written", path, exc_info=True)
    if failed:
        others = f"; written: {', '.join(map(str, written))}" if written else ""
        raise _wrong(f"could not write {'; '.join(failed)}{others}")
    return written


def write_whole(path: Path, text: str) -> None:
    """Replaces `path` in one step: nobody ever sees half a file."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def to_json(report: Report) -> str:
    """What `read` reads."""
    return report.model_dump_json(indent=1) + "\n"


def to_csv(report: Report) -> str:
    """One row for each run."""
    return table.runs(report.runs).csv()


def _page(report: Report) -> str:
    from inference.bench.report import page

    return page.render(report)


def read(path: Path) -> Report:
    """A report as `write` wrote it; ConfigError names the file and the first thing wrong."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {_reason(error)}") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        said = f"its schema_version is {version!r}" if version else "it has no schema_version"
        raise ConfigError(
            f"{path}: {said}, and this anynode reads {SCHEMA_VERSION!r}; give the .json of "
            "`anynode bench … --output`"
        )
    try:
        return Report.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {place}: {first['msg']}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    return f"this is not JSON: {error}"


def _path(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)
