"""Results on disk as the runs of an arm: ours, `vllm bench serve`'s and GuideLLM's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.bench.compare.foreign import guidellm, vllm
from inference.bench.compare.parity import ArmFacts
from inference.bench.report import files
from inference.bench.report.model import Report, RunReport, ServerReport
from inference.bench.text_file import numbered_lines, parse_json, read_text
from serving.errors import ConfigError

# The settings of our own reports that decide what every request carries.
SENT = ("route", "stream", "temperature", "top_p", "ignore_eos", "extra_body")


@dataclass(slots=True)
class Stored:
    """What the files of one arm hold."""

    runs: list[RunReport] = field(default_factory=list)
    servers: list[ServerReport] = field(default_factory=list)
    facts: ArmFacts = field(default_factory=ArmFacts)
    tools: set[str] = field(default_factory=set)  # other than ours


def read(paths: Sequence[Path], arm: str) -> Stored:
    """Every time a load comes again it is the next round.

    Raises ConfigError naming the file and what is wrong with it.
    """
    found = [_file(path, arm) for path in paths]
    for path, each in zip(paths, found, strict=True):
        if not each.runs:
            raise ConfigError(f"{path}: it holds no run")
    runs = in_rounds([run for each in found for run in each.runs])
    servers = [server for each in found for server in each.servers]
    tools = {tool for each in found for tool in each.tools}
    return Stored(runs, servers[:1], found[0].facts, tools)


def notes(found: Iterable[Stored]) -> list[str]:
    """What to keep in mind when these are compared."""
    said = ["The runs were read from files; the client's machine is the one that compared them."]
    for tool in sorted({tool for each in found for tool in each.tools}):
        said.append(
            f"{tool} counts latencies from the sending of a request; ours count from when it was "
            "due. In a closed loop that is the same."
        )
    return said


def in_rounds(runs: Iterable[RunReport]) -> list[RunReport]:
    """The first run of each load is of round 1, the second of round 2, and so on. Pure."""
    seen: Counter[str] = Counter()
    numbered = []
    for run in runs:
        seen[run.name] += 1
        numbered.append(run.model_copy(update={"round": seen[run.name]}))
    return numbered


def _file(path: Path, arm: str) -> Stored:
    contents = _json(path)
    first = contents[0]
    try:
        if "schema_version" in first:
            return _ours(files.read(path), path, arm)
        if guidellm.recognises(first):
            facts = ArmFacts(model=guidellm.model(first))
            return Stored(guidellm.runs(first, arm), [], facts, {guidellm.TOOL})
        if all(map(vllm.recognises, contents)):
            facts = ArmFacts(model=first.get("model_id"))
            return Stored([vllm.run(each, arm) for each in contents], [], facts, {vllm.TOOL})
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in wrong["loc"])
        raise ConfigError(f"{path}: {place}: {wrong['msg']}") from error
    raise ConfigError(
        f"{path}: this is neither a report of ours nor the result of `{vllm.TOOL} --save-result` "
        f"or of {guidellm.TOOL}"
    )


def _json(path: Path) -> list[dict[str, Any]]:
    """One object, or one a line as `--append-result` writes them."""
    text = read_text(path, "--result")
    lines = list(numbered_lines(text))
    if len(lines) > 1 and lines[0][1].rstrip().endswith("}"):
        found = [parse_json(line, path, number) for number, line in lines]
    else:
        found = [parse_json(text, path)]
    if not all(isinstance(each, dict) for each in found):
        raise ConfigError(f"{path}: it holds no JSON object")
    return found


def _ours(report: Report, path: Path, arm: str) -> Stored:
    """Of a comparison, only the arm of that name."""
    runs, servers = report.runs, report.servers
    if report.comparison is not None:
        runs = [run for run in runs if run.arm == arm]
        servers = [server for server in servers if server.arm == arm]
        if not runs:
            known = ", ".join(report.comparison.arms)
            raise ConfigError(f"{path}: it has no arm '{arm}'; there are {known}")
    settings = report.settings.get("load", report.settings)
    models = [model for server in servers for model in server.models]
    facts = ArmFacts(
        model=_asked_model(settings.get("model"), arm) or next(iter(models), None),
        sent={name: settings[name] for name in SENT if settings.get(name) is not None},
        version=servers[0].version if servers else {},
    )
    return Stored(
        [run.model_copy(update={"arm": arm}) for run in runs],
        [server.model_copy(update={"arm": arm}) for server in servers],
        facts,
    )


def _asked_model(asked: Any, arm: str) -> str | None:
    found = asked.get(arm) if isinstance(asked, dict) else asked
    return found if isinstance(found, str) else None
