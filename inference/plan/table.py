"""A plan as people read it: tables and sentences, 80 columns or more. Pure, but for the console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from inference.plan.fit import gib, words
from inference.plan.fleet import GPU_KINDS
from inference.plan.plan import ModelPlan, NodeFree, Plan, Refusal, Replica


def show(plan: Plan, console: Console) -> None:
    """Models, their replicas, what is left, and what found no place."""
    for model in plan.models:
        console.print(_model(model))
        console.print(Padding(Text(f"{model.why}.", style="dim"), (0, 0, 0, 2)))
        console.print()
    if plan.free:
        console.print(_free(plan.free))
    for refusal in plan.refusals:
        console.print()
        console.print(_refusal(refusal, placed=plan.model(refusal.model) is not None))


def _model(model: ModelPlan) -> Table:
    precision = "16-bit or as stored" if model.precision == "auto" else model.precision
    table = Table(
        title=f"[bold]{model.name}[/bold]: {model.engine} on {words(model.kind)}, {precision}, "
        f"context {model.context}",
        title_justify="left",
        title_style="",
    )
    for name in ("node", "devices"):
        table.add_column(name, overflow="fold")
    for name in ("weights", "KV", "rest", "seqs", "at", "tok/s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("held back by")
    for rows in _alike(model.replicas):
        table.add_row(*_row(model, rows))
    return table


def _alike(replicas: tuple[Replica, ...]) -> Iterator[list[Replica]]:
    """Neighbours that differ in their devices only, together."""
    group: list[Replica] = []
    for replica in replicas:
        if group and (replica.node, replica.bytes_per_device, replica.concurrency) != (
            group[0].node,
            group[0].bytes_per_device,
            group[0].concurrency,
        ):
            yield group
            group = []
        group.append(replica)
    if group:
        yield group


def _row(model: ModelPlan, replicas: list[Replica]) -> tuple[str, ...]:
    """One or several replicas of a node; figures are of each."""
    first, size = replicas[0], replicas[0].bytes_per_device
    number = f"{len(replicas)} x " if len(replicas) > 1 else ""
    nodes = ", ".join(dict.fromkeys(device.node for device in first.devices))
    what = first.devices[0].product
    if model.kind in GPU_KINDS:
        each = f"{number}{len(first.devices)} {what}"
    else:
        each = f"{number}{model.num_cpus} cores, {what}"
    return (
        nodes,
        each,
        *(gib(part).removesuffix(" GiB") for part in (size.weights, size.kv_cache, size.overhead)),
        str(first.max_sequences),
        str(first.concurrency),
        f"{first.decode_tokens_per_s:.0f}",
        first.bottleneck,
    )


def _free(free: tuple[NodeFree, ...]) -> Table:
    table = Table(title="[bold]left free[/bold]", title_justify="left", title_style="")
    table.add_column("node", overflow="fold")
    for name in ("cores", "GiB"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("GPUs")
    for node in free:
        gpus = ", ".join(f"{number} {name}" for name, number in Counter(node.gpus).items())
        size = gib(node.memory_bytes).removesuffix(" GiB")
        table.add_row(node.node, str(node.cores), size, gpus or "-")
    return table


def _refusal(refusal: Refusal, *, placed: bool) -> Text:
    text = Text()
    text.append(f"{refusal.model} ", style="bold red")
    what = "holds too little"
    if refusal.missing_replicas:
        what = "found a place for some of it" if placed else "found no place"
    text.append(f"{what}: {refusal.reason}.")
    for change in refusal.changes:
        value = f": {_yaml(change.value)}" if change.field != "nodes" else ""
        text.append("\n  enough would be: ", style="bold")
        text.append(f"{change.sentence} ({change.field}{value})")
    return text


def _yaml(value: object) -> str:
    names: dict[object, str] = {None: "leave it out", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else str(value)


LEGEND = (
    "weights, KV, rest: GiB on each device. seqs: sequences of full context that fit in a replica. "
    "at: sequences at once expected there, and tok/s what they decode together."
)
