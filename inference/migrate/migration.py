"""A YAML of 2023 as one of today: mended, changed one thing at a time, and looked at once more."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.check.document import RAY_SERVICE, SERVE_CONFIG, Document, load
from inference.check.files import NOTHING, check_text
from inference.check.finding import Finding
from inference.check.ray_service import RayService
from inference.migrate.edits import CannotEdit
from inference.migrate.manifest_steps import manifest_steps
from inference.migrate.repair import Repaired, repair
from inference.migrate.serve_steps import serve_steps
from inference.migrate.step import Step
from serving.errors import ConfigError

TOKEN = re.compile(r"(\bhf_token:\s*)[^#\s]+|\bhf_[A-Za-z0-9]{20,}\b")
MOST_STEPS = 10_000  # far more than any file has lines to change


@dataclass(frozen=True, slots=True)
class Migration:
    """What became of a text."""

    file: str
    before: str
    after: str
    notes: tuple[str, ...]  # what was done, and why
    undecided: tuple[Finding, ...]  # what is left to the author

    @property
    def diff(self) -> str:
        """The change as a unified diff to read, tokens masked; empty where nothing changes."""
        names = f"{self.file} (before)", f"{self.file} (after)"
        diff = difflib.unified_diff(
            self.before.split("\n"), self.after.split("\n"), *names, lineterm=""
        )
        return "\n".join(TOKEN.sub(lambda found: f"{found[1] or ''}***", line) for line in diff)


def migrate(text: str, file: str) -> Migration:
    """The text as it is written today. Raises ConfigError for YAML that cannot be mended."""
    newline = "\r\n" if "\r\n" in text else "\n"
    lines, notes = text.replace("\r\n", "\n").split("\n"), list[str]()
    lines = _mended(lines, file, notes)
    for _ in range(MOST_STEPS):
        changed = _once("\n".join(lines), file, notes)
        if changed is None:
            break
        lines = changed
    after = newline.join(lines)
    return Migration(file, text, after, tuple(notes), tuple(check_text(after, file)))


def _mended(lines: list[str], file: str, notes: list[str]) -> list[str]:
    """With YAML that parses, the Serve configs in it too."""
    text = "\n".join(lines)
    if (whole := repair(text)) is not None:
        notes += _said(whole, 0)
        text = whole.text
    documents, broken = load(text, file)
    if broken:
        raise ConfigError(broken[0].sentence)
    if not documents:
        raise ConfigError(f"{file}: {NOTHING}")
    for document in documents:
        if document.broken:
            text = _mended_part(text, document, notes)
    return text.split("\n")


def _mended_part(text: str, document: Document, notes: list[str]) -> str:
    """With a Serve config that parses in a RayService."""
    mark, lines = document.marks[SERVE_CONFIG], text.split("\n")
    first, last = mark.value_line + 1, mark.end_line + 1
    inner = repair("\n".join(line[document.part_column :] for line in lines[first:last]))
    if mark.style != "|" or inner is None:
        raise ConfigError(document.broken[0].sentence)
    notes += _said(inner, first)
    left = " " * document.part_column
    mended = [left + line if line else line for line in inner.text.split("\n")]
    return "\n".join([*lines[:first], *mended, *lines[last:]])


def _said(repaired: Repaired, first: int) -> Iterator[str]:
    for change in sorted(repaired.changes, key=lambda each: each.line):
        yield f"line {change.line + first + 1}: {change.said}"


def _once(text: str, file: str, notes: list[str]) -> list[str] | None:
    """The lines after the first change that can be made; None where there is none."""
    lines = text.split("\n")
    for step in _steps(load(text, file)[0]):
        try:
            changed = step.edit(lines)
        except CannotEdit:
            continue
        if changed != lines and not load("\n".join(changed), file)[1]:  # it still is YAML
            notes.append(step.note)
            return changed
    return None


def _steps(documents: Sequence[Document]) -> Iterator[Step]:
    for document in documents:
        if document.kind == RAY_SERVICE:
            yield from manifest_steps(RayService(document))
            if document.part is not None and isinstance(document.part.data, dict):
                yield from serve_steps(document.part)
        elif not document.is_kubernetes and isinstance(document.data, dict):
            yield from serve_steps(document)
