"""YAML with the line of every key: what all rules read.

PyYAML's parser is used because it is what Ray reads Serve configs with, so that a value here is
the value there. A Serve config inside a RayService (`serveConfigV2: |`) becomes a document of its
own, whose lines are those of the file around it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from inference.check.finding import Finding
from inference.check.rules import RULES
from inference.migrate.repair import repair

Path = tuple[str | int, ...]

RAY_SERVICE = "RayService"
MERGE = "tag:yaml.org,2002:merge"
SERVE_CONFIG: Path = ("spec", "serveConfigV2")


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a key, or an item of a list, is in its file; lines and columns are counted from 0."""

    line: int
    column: int  # of the key; of an item's first character after `- `
    value_line: int
    value_column: int
    end_line: int  # the last line of the value
    end_column: int  # just behind a value on one line
    in_flow: bool = False  # between { } or [ ]
    style: str | None = None  # of a scalar: | > " ' or None


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file: plain data, and where each part of it is written."""

    file: str
    data: Any
    marks: Mapping[Path, Mark]
    root: Path = ()  # of what this is a part
    doubled: tuple[Path, ...] = ()  # keys that are written twice in one mapping
    broken: tuple[Finding, ...] = ()  # what is wrong with the YAML of its part
    as_written: bool = True  # False: in a quoted or folded text, whose lines are not its own
    part: Document | None = None  # a RayService's Serve config
    part_column: int = 0  # how far that is indented

    @property
    def kind(self) -> str | None:
        """Kubernetes' word for what it is; None: not a Kubernetes object."""
        return self.data.get("kind") if isinstance(self.data, dict) else None

    @property
    def is_kubernetes(self) -> bool:
        """Whether it is meant for kubectl, as opposed to Serve."""
        return isinstance(self.data, dict) and bool({"kind", "apiVersion"} & set(self.data))

    def line(self, path: Path) -> int:
        """The line, from 1, of the nearest thing written at or above `path`."""
        while path not in self.marks:
            if not path:
                return 1
            path = path[:-1]
        return self.marks[path].line + 1

    def finding(self, rule: str, path: Path, message: str, fix: str) -> Finding:
        """What `rule` says of the key at `path`."""
        place = ".".join(str(part) for part in (*self.root, *path)) or "the file"
        severity = RULES[rule].severity
        return Finding(self.file, self.line(path), rule, severity, f"{place}: {message}", fix)


def load(text: str, file: str) -> tuple[list[Document], list[Finding]]:
    """The documents of a file, and what keeps the rest of it from being read."""
    documents: list[Document] = []
    try:
        for node in yaml.compose_all(text, Loader=yaml.CSafeLoader):
            document = _document(node, file)
            if document.data is not None:
                documents.append(_with_part(document, text))
    except (yaml.YAMLError, RecursionError) as error:
        return documents, [_not_yaml(error, text, file)]
    return documents, []


def _with_part(document: Document, text: str) -> Document:
    """A RayService with its Serve config, or with what is wrong with the YAML of that."""
    mark = document.marks.get(SERVE_CONFIG)
    if mark is None or document.kind != RAY_SERVICE:
        return document
    inner = document.data["spec"]["serveConfigV2"]
    if not isinstance(inner, str):
        return document
    lines = text.split("\n")[mark.value_line + 1 : mark.end_line + 1]
    column = min((len(each) - len(each.lstrip()) for each in lines if each.strip()), default=0)
    try:
        node = yaml.compose(inner, Loader=yaml.CSafeLoader)
        part = None if node is None else _placed(_document(node, document.file), mark, column)
    except (yaml.YAMLError, RecursionError) as error:
        found = _not_yaml(error, inner, document.file, mark)
        return replace(document, broken=(found,), part_column=column)
    return replace(document, part=part, part_column=column)


def _placed(part: Document, mark: Mark, column: int) -> Document:
    """The same with lines of the file around it; those of a quoted text are all its first."""
    if mark.style != "|":
        marks = dict.fromkeys(part.marks, mark)
        return replace(part, root=SERVE_CONFIG, marks=marks, as_written=False)
    down = mark.value_line + 1
    marks = {
        path: replace(
            each,
            line=each.line + down,
            value_line=each.value_line + down,
            end_line=each.end_line + down,
            column=each.column + column,
            value_column=each.value_column + column,
            end_column=each.end_column + column,
        )
        for path, each in part.marks.items()
    }
    return replace(part, root=SERVE_CONFIG, marks=marks)


def _document(node: Any, file: str) -> Document:
    marks: dict[Path, Mark] = {}
    doubled: list[Path] = []
    data = _read(node, (), marks, doubled, in_flow=False)
    return Document(file, data, marks, doubled=tuple(doubled))


def _read(
    node: Any, path: Path, marks: dict[Path, Mark], doubled: list[Path], *, in_flow: bool
) -> Any:
    """The value of a node, as PyYAML's safe loader makes it; notes where its parts are."""
    if isinstance(node, yaml.MappingNode):
        inside = in_flow or bool(node.flow_style)
        mapping = {}
        for key_node, value_node in _pairs(node):
            key = _scalar(key_node)
            here = (*path, key)
            if key in mapping:
                doubled.append(here)
            mapping[key] = _read(value_node, here, marks, doubled, in_flow=inside)
            marks[here] = _mark(key_node, value_node, in_flow=inside)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        inside = in_flow or bool(node.flow_style)
        items = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            items.append(_read(item, here, marks, doubled, in_flow=inside))
            marks[here] = _mark(item, item, in_flow=inside)
        return items
    return _scalar(node)


def _pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    """Keys and values; those that `<<` merges in first, without those the mapping has itself."""
    own = [pair for pair in node.value if pair[0].tag != MERGE]
    seen = {key.value for key, _ in own}
    for key, value in node.value:
        for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if key.tag != MERGE or not isinstance(merged, yaml.MappingNode):
                continue
            for pair in _pairs(merged):
                if pair[0].value not in seen:
                    seen.add(pair[0].value)
                    yield pair
    yield from own


def _scalar(node: Any) -> Any:
    """A scalar by its tag; a key that is no scalar becomes its text."""
    loader = yaml.SafeLoader("")
    try:
        value = loader.construct_object(node, deep=True)
    finally:
        loader.dispose()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _mark(key: Any, value: Any, *, in_flow: bool) -> Mark:
    end_line, end_column = _end(value)
    return Mark(
        line=key.start_mark.line,
        column=key.start_mark.column,
        value_line=value.start_mark.line,
        value_column=value.start_mark.column,
        end_line=max(end_line, key.start_mark.line),
        end_column=end_column,
        in_flow=in_flow,
        style=value.style if isinstance(value, yaml.ScalarNode) else None,
    )


def _end(node: Any) -> tuple[int, int]:
    """The last line that belongs to a value: PyYAML's mark of a block is where the next begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return max(_end(last[0]), _end(last[1])) if isinstance(last, tuple) else _end(last)
    if isinstance(node, yaml.ScalarNode) and node.style in {"|", ">"}:
        text_lines = node.value.rstrip("\n").count("\n") + 1 if node.value.strip() else 0
        if node.style == "|":
            return node.start_mark.line + text_lines, 0
        return max(node.start_mark.line, node.end_mark.line - 1), 0
    return node.end_mark.line, node.end_mark.column


def _not_yaml(error: Exception, text: str, file: str, around: Mark | None = None) -> Finding:
    """What is wrong with the YAML of a file, or of a text that is written at `around`."""
    down = 0 if around is None else around.value_line + (around.style == "|")
    mark, began = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    problem, context = getattr(error, "problem", str(error)), getattr(error, "context", None)
    where = f" {context} that begins in line {began.line + down + 1}" if began else ""
    line = mark.line if mark else 0
    fix = "the keys of a mapping stand in one column, further right than the key they belong to"
    if (mended := repair(text)) is not None:
        first = min(mended.changes, key=lambda each: each.line)
        line, fix = first.line, f"{first.said}: `anynode migrate {file}` mends it"
    if around is not None and around.style != "|":
        line, fix = 0, "write it as a text of its own lines: serveConfigV2: |"
    place = "" if around is None else f"{'.'.join(map(str, SERVE_CONFIG))}: "
    message = f"{place}this is not YAML: {problem}{where}"
    return Finding(file, line + down + 1, "yaml", RULES["yaml"].severity, message, fix)
