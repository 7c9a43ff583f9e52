"""`anynode bench compare`: several arms under the same loads, in turns, and a verdict."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from inference.bench.compare import config as comparison_config
from inference.bench.compare import gates as gate_lines
from inference.bench.compare import schedule, stored
from inference.bench.compare.comparison import Asked, Loss, compared, observed
from inference.bench.compare.config import ComparisonConfig
from inference.bench.compare.gates import Gate
from inference.bench.compare.parity import Alike, ArmFacts
from inference.bench.compare.plans import Plans
from inference.bench.compare.rounds import Rounds
from inference.bench.compare.verdict import EXIT_CODES
from inference.bench.report import files
from inference.bench.report.model import Report, RunReport, ServerReport
from inference.cli.bench import options, session
from inference.cli.bench.compare_options import (
    Arms,
    Judgement,
    LoadOptions,
    option_name,
    said,
)
from inference.cli.bench.groups import spread
from serving.errors import ConfigError

INTERRUPTED = 130  # as a shell says it of Ctrl-C

File = Annotated[
    Path | None, typer.Argument(help="A comparison file: arms, rounds, load and gates.")
]


@spread
def compare(
    file: File = None,
    *,
    arms: Arms,
    judgement: Judgement,
    load: LoadOptions,
    header: options.Header = None,
    output: options.Output = None,
) -> None:
    """Offer the same loads to several servers in turns, and say whether the gates hold.

    Ends with 0 if all gates pass (or none was given), 1 if one fails, 3 if it takes more rounds.
    """
    if output:
        files.check_writable(output)
    _check(file, arms, judgement, {**said(load), "header": header})
    gates = _gates(judgement)
    if arms.result:
        report = _read(arms, judgement, gates)
    else:
        config = comparison_config.from_file(file) if file else _config(arms, judgement, load)
        report = measure(config, [*_gates_of(config, file), *gates], options.headers(header))
    session.publish(report, output)
    assert report.comparison is not None
    raise typer.Exit(EXIT_CODES[report.comparison.verdict])


def _check(file: Path | None, arms: Arms, judgement: Judgement, asking: dict[str, Any]) -> None:
    """Raises ConfigError for options that would say nothing; `asking` are those about requests."""
    ways = {"FILE": file, "--arm": arms.arm, "--result": arms.result}
    given = [name for name, value in ways.items() if value]
    if not given:
        raise ConfigError("whom to compare? give a FILE, --arm NAME=URL or --result NAME=FILE")
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]} exclude each other; leave one out")
    rounds = {name: value for name, value in said(arms).items() if "rounds" in name}
    _refuse(bool(arms.result), {**asking, **rounds}, "the runs of --result are over; leave it out")
    in_file = {**asking, **said(arms), "must_match": judgement.must_match, "header": None}
    _refuse(bool(file), in_file, f"it belongs into {file}")


def _refuse(idle: bool, given: dict[str, Any], reason: str) -> None:
    name = next((name for name, value in given.items() if value is not None), None)
    if idle and name is not None:
        raise ConfigError(f"{option_name(name)}: {reason}")


def _gates(judgement: Judgement) -> list[Gate]:
    found = gate_lines.from_lines(judgement.gate or [], lambda number: "--gate")
    return found + (gate_lines.from_file(judgement.gates) if judgement.gates else [])


def _gates_of(config: ComparisonConfig, file: Path | None) -> list[Gate]:
    return gate_lines.from_lines(config.gates, lambda number: f"{file}: gates.{number - 1}")


def _config(arms: Arms, judgement: Judgement, load: LoadOptions) -> ComparisonConfig:
    """What a file would say instead of these options."""
    urls = {name: {"url": url} for name, url in _named(arms.arm or [], "--arm", "URL")}
    if len(urls) < len(arms.arm or []):
        raise ConfigError("--arm: two have the same name; each needs one of its own")
    content = {name: value for name, value in said(arms).items() if name != "arm"}
    content |= {"arms": urls, "load": {**said(load), "slo": options.objectives(load.slo)}}
    if judgement.must_match:
        content["must_match"] = judgement.must_match
    return comparison_config.checked(content, _as_option)


def _as_option(place: str) -> str:
    """`load.prompt_tokens` is `--prompt-tokens`, `arms.bare.url` is `--arm`."""
    if place.startswith("arms."):
        return "--arm"
    field = place.removeprefix("load.").partition(".")[0]
    return option_name(field) if field not in {"", "load"} else ""


def _named(given: list[str], option: str, what: str) -> list[tuple[str, str]]:
    pairs = [each.partition("=") for each in given]
    for name, _, value in pairs:
        if not name or not value:
            raise ConfigError(f"{option}: '{name}{value}' is not of the form NAME={what}")
    return [(name, value) for name, _, value in pairs]


def measure(config: ComparisonConfig, gates: list[Gate], headers: dict[str, str]) -> Report:
    """Runs every turn; Ctrl-C keeps what was measured until then."""
    plans = Plans(config.load, headers)
    points = [point.name for point in plans.points]
    gate_lines.check(gates, arms=list(config.arms), points=points, slo=bool(config.load.slo))
    arms = [each.arm(name) for name, each in config.arms.items()]
    with (
        session.interruptible() as interrupt,
        Rounds(
            arms,
            plans,
            interrupt=interrupt,
            headers=headers,
            exclusive=config.exclusive,
            pause_idle=config.pause_idle,
        ) as rounds,
    ):
        runs = session.run_all(rounds.plans(config.turns(len(points))), interrupt)
    measured = [run for run in runs if run.round != schedule.WARMUP]
    if not measured:
        print("anynode: interrupted before anything was measured", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    asked = Asked(
        arms=list(config.arms),
        baseline=config.base(),
        rounds=config.rounds,
        gates=gates,
        alike=Alike(not isinstance(config.load.model, dict), config.must_match),
    )
    facts = {name: plans.facts(rounds.servers.get(name)) for name in config.arms}
    return _report(
        asked,
        facts,
        measured,
        losses=rounds.losses,
        servers=[rounds.servers[name] for name in config.arms if name in rounds.servers],
        settings={**config.published(), "gates": _texts(gates)},
    )


def _read(arms: Arms, judgement: Judgement, gates: list[Gate]) -> Report:
    """Takes the runs from files; an arm's further files are further rounds."""
    paths: dict[str, list[Path]] = {}
    for name, path in _named(arms.result or [], "--result", "FILE"):
        paths.setdefault(name, []).append(Path(path))
    if len(paths) < 2:
        raise ConfigError("--result: a comparison needs two arms at least")
    if arms.baseline is not None and arms.baseline not in paths:
        known = ", ".join(paths)
        raise ConfigError(f"--baseline: no arm is called '{arms.baseline}'; there are {known}")
    found = {name: stored.read(each, name) for name, each in paths.items()}
    runs = [run for each in found.values() for run in each.runs]
    gate_lines.check(gates, arms=list(paths), points=list(dict.fromkeys(run.name for run in runs)))
    asked = Asked(
        arms=list(paths),
        baseline=arms.baseline or next(iter(paths)),
        rounds=max(run.round for run in runs),
        gates=gates,
        alike=Alike(must_match=judgement.must_match or ()),
    )
    report = _report(
        asked,
        {name: each.facts for name, each in found.items()},
        runs,
        servers=[server for each in found.values() for server in each.servers],
        settings={"results": arms.result, "gates": _texts(gates)},
    )
    report.notes += stored.notes(found.values())
    return report


def _report(
    asked: Asked,
    facts: dict[str, ArmFacts],
    runs: list[RunReport],
    *,
    servers: list[ServerReport],
    settings: dict[str, Any],
    losses: Sequence[Loss] = (),
) -> Report:
    others = ", ".join(arm for arm in asked.arms if arm != asked.baseline)
    report = session.report(
        "compare",
        title=f"{others} against {asked.baseline}",
        servers=servers,
        settings=settings,
        runs=runs,
    )
    report.comparison = compared(asked, facts, runs, losses)
    report.notes += observed(asked, facts, runs, losses)
    return report


def _texts(gates: Sequence[Gate]) -> list[str]:
    return [gate.text for gate in gates]
