"""`anynode plan`: what goes where on a fleet, and why, before anything is deployed."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from inference.bench.prompts.lengths import FORMS, parse_length
from inference.bench.trace import read_trace
from inference.cli.plan_output import write_manifest
from inference.manifest.settings import REGISTRY, ManifestSettings
from inference.plan.fleet import Fleet
from inference.plan.load import check_fleet, find_facts, read_fleet_file
from inference.plan.make import plan_of
from inference.plan.plan import Plan
from inference.plan.planner import Choice, Facts, Solution, solve
from inference.plan.simulation.simulate import (
    NUM_REQUESTS,
    ModelSimulation,
    expected_load,
    simulate,
)
from inference.plan.simulation.table import show as show_simulation
from inference.plan.simulation.workload import Recorded, Workload
from inference.plan.table import LEGEND, show
from serving.errors import ConfigError

LOAD = "Load"
MANIFEST = "Manifest"
INCOMPLETE = 1  # exit status: something found no place


def plan(  # noqa: PLR0917  (the command line passes them by name)
    fleet_file: Annotated[
        Path | None,
        typer.Argument(metavar="FLEET.yaml", help="Nodes and models; see docs/plan.md."),
    ] = None,
    this_machine: Annotated[
        bool, typer.Option("--this-machine", help="The nodes are this machine alone.")
    ] = False,
    from_cluster: Annotated[
        bool,
        typer.Option("--from-cluster", help="The nodes are those of the Kubernetes cluster."),
    ] = False,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", help="A folder or owner/name, beside the file's models; repeat."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    simulate_load: Annotated[
        bool,
        typer.Option("--simulate", help="Also run it under rising load.", rich_help_panel=LOAD),
    ] = False,
    trace: Annotated[
        Path | None,
        typer.Option(help="Requests of real traffic, for each model.", rich_help_panel=LOAD),
    ] = None,
    request_rate: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            help="Requests/s for each model. [dim](default: what its concurrency means)[/dim]",
            rich_help_panel=LOAD,
        ),
    ] = None,
    prompt_tokens: Annotated[
        str, typer.Option(help=f"Length of prompts: {FORMS}.", rich_help_panel=LOAD)
    ] = "128",
    output_tokens: Annotated[
        str, typer.Option(help="Length of answers, likewise.", rich_help_panel=LOAD)
    ] = "128",
    num_requests: Annotated[
        int, typer.Option(min=1, help="Requests at each load.", rich_help_panel=LOAD)
    ] = NUM_REQUESTS,
    seed: Annotated[int, typer.Option(help="Of arrivals and lengths.", rich_help_panel=LOAD)] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="CLUSTER.yml",
            help="Write it as a RayService for KubeRay.",
            rich_help_panel=MANIFEST,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The RayService's. [dim](default: anynode-FLEET)[/dim]", rich_help_panel=MANIFEST
        ),
    ] = None,
    registry: Annotated[
        str, typer.Option(help="Where nodes pull our images from.", rich_help_panel=MANIFEST)
    ] = REGISTRY,
) -> None:
    """Say which replica goes where, what it takes and gives, and what would make the rest fit."""
    fleet = _fleet(fleet_file, _found_nodes(this_machine, from_cluster), model or [])
    facts = find_facts(fleet)
    solution = solve(fleet, facts)
    made = plan_of(fleet, facts, solution)
    simulations = []
    if simulate_load:
        load = _load(
            trace,
            num_requests=num_requests,
            request_rate=request_rate,
            seed=seed,
            prompt_tokens=parse_length(prompt_tokens, "--prompt-tokens"),
            output_tokens=parse_length(output_tokens, "--output-tokens"),
        )
        simulations = list(simulate(solution, facts, partial(load, solution, facts)))
    _print(made, simulations, as_json)
    if output is not None:
        stem = "rack" if fleet_file is None else fleet_file.stem
        write_manifest(output, made, fleet, ManifestSettings(name or f"anynode-{stem}", registry))
    raise typer.Exit(INCOMPLETE if made.refusals else 0)


def _fleet(file: Path | None, nodes: list[dict[str, Any]] | None, models: list[str]) -> Fleet:
    """What the file says, with the nodes that were found and the models named beside it."""
    said = read_fleet_file(file) if file is not None else {}
    where = str(file or "the command line")
    if nodes is not None:
        if "nodes" in said:
            raise ConfigError(f"{where}: it has nodes of its own; leave them out, or the option")
        said = {**said, "nodes": nodes}
    if "nodes" not in said:
        raise ConfigError("give a fleet file with nodes, or --this-machine, or --from-cluster")
    named = [*(said.get("models") or []), *map(_named, models)]
    return check_fleet({**said, "models": named}, where)


def _load(trace: Path | None, **synthetic: Any) -> Callable[[Solution, Facts, Choice], Workload]:
    """What each model is asked: the trace, or requests of the lengths and at the rate said."""
    if trace is None:
        return partial(expected_load, **synthetic)
    recorded = Recorded(read_trace(trace))
    return lambda solution, facts, choice: recorded


def _print(made: Plan, simulations: list[ModelSimulation], as_json: bool) -> None:
    if as_json:
        simulated = {"simulations": [each.as_json() for each in simulations]}
        print(json.dumps(made.as_json() | (simulated if simulations else {}), indent=2))
        return
    console = Console()
    show(made, console)
    console.print(f"\n[dim]{LEGEND}[/dim]")
    for each in simulations:
        console.print()
        show_simulation(each, console)


def _found_nodes(this_machine: bool, from_cluster: bool) -> list[dict[str, Any]] | None:
    """Nodes that are looked up instead of written down."""
    if this_machine and from_cluster:
        raise ConfigError("--this-machine, --from-cluster: give one of them")
    if this_machine:
        from inference.plan.this_machine import find_node

        return [find_node()]
    if from_cluster:
        from inference.plan.from_cluster import find_nodes

        return find_nodes()
    return None


def _named(source: str) -> dict[str, Any]:
    """A model of the command line, called as its last part is, in letters a route may have."""
    last = source.rstrip("/").rpartition("/")[2].lower()
    return {"name": "".join(each if each.isalnum() else "-" for each in last), "source": source}
