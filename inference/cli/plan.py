"""`anynode plan`: what goes where on a fleet, and why, before anything is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from inference.plan.load import check_fleet, find_facts, read_fleet_file
from inference.plan.make import make_plan
from inference.plan.table import LEGEND, show
from serving.errors import ConfigError

INCOMPLETE = 1  # exit status: something found no place


def plan(
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
) -> None:
    """Say which replica goes where, what it takes and gives, and what would make the rest fit."""
    said = read_fleet_file(fleet_file) if fleet_file is not None else {}
    where = str(fleet_file or "the command line")
    nodes = _found_nodes(this_machine, from_cluster)
    if nodes is not None:
        if "nodes" in said:
            raise ConfigError(f"{where}: it has nodes of its own; leave them out, or the option")
        said = {**said, "nodes": nodes}
    said = {**said, "models": [*(said.get("models") or []), *map(_named, model or [])]}
    if "nodes" not in said:
        raise ConfigError("give a fleet file with nodes, or --this-machine, or --from-cluster")
    fleet = check_fleet(said, where)
    made = make_plan(fleet, find_facts(fleet))
    if as_json:
        print(json.dumps(made.as_json(), indent=2))
    else:
        console = Console()
        show(made, console)
        console.print(f"\n[dim]{LEGEND}[/dim]")
    raise typer.Exit(INCOMPLETE if made.refusals else 0)


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
