"""Which nodes of a cluster can hold a replica, and how their sockets divide: pure decisions.

Serve waits without a word for a node that does not exist; this says what is missing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from serving.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Node:
    """One node, in Ray's words."""

    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    node_id: str = ""


@dataclass(frozen=True, slots=True)
class SocketCores:
    """The CPUs that Ray counts on a node, and the cores of each of its sockets."""

    num_cpus: float
    cores: tuple[int, ...]


def fitting_nodes(options: Mapping[str, Any], nodes: Sequence[Node]) -> Sequence[Node]:
    """Those that can ever hold a replica with these `ray_actor_options`.

    Raises ConfigError, naming what no node has, where there is none.
    """
    if not options.get("fallback_strategy"):  # other labels would do as well
        nodes = _labelled(options.get("label_selector") or {}, nodes)
    for name, amount in (options.get("resources") or {}).items():
        nodes = _having(name, amount, nodes)
    return _with_cpus(options.get("num_cpus", 1), nodes)


def room(options: Mapping[str, Any], nodes: Sequence[Node]) -> float:
    """How many replicas all of them hold, if they hold nothing else; infinitely many that need
    nothing.
    """
    asked = {"CPU": options.get("num_cpus", 1), **(options.get("resources") or {})}
    needs = {name: Fraction(str(amount)) for name, amount in asked.items() if amount}
    if not needs:
        return math.inf
    return sum(
        min(Fraction(str(node.resources.get(name, 0))) // amount for name, amount in needs.items())
        for node in nodes
    )


def _labelled(selector: Mapping[str, str], nodes: Sequence[Node]) -> Sequence[Node]:
    for label, condition in selector.items():
        wanted = label_condition(condition)
        found = [node for node in nodes if wanted(node.labels.get(label))]
        if not found:
            there = sorted({node.labels[label] for node in nodes if label in node.labels})
            raise ConfigError(
                f"label_selector: a replica may only be on nodes whose label {label} is "
                f"{condition}, and no node's is ({_listed(there)}); start Ray on those nodes with "
                f"--labels {label}=…, or correct the selector",
                param="label_selector",
            )
        nodes = found
    return nodes


def label_condition(text: str) -> Callable[[str | None], bool]:
    """Ray's conditions on a label: `a`, `!a`, `in(a, b)`, `!in(a, b)`."""
    negated, listed = text.startswith("!"), re.search(r"\((.*)\)", text)
    values = {each.strip() for each in listed[1].split(",")} if listed else {text.lstrip("!")}
    return lambda value: (value in values) != negated


def _having(name: str, amount: float, nodes: Sequence[Node]) -> Sequence[Node]:
    found = [node for node in nodes if node.resources.get(name, 0) >= amount]
    if not found:
        most = max((node.resources.get(name, 0) for node in nodes), default=0)
        own = {each for node in nodes for each in node.resources if not _is_rays(each)}
        there = f"one has {most:g} at most" if most else _listed(sorted(own))
        raise ConfigError(
            f"ray_actor_options: a replica asks for {amount:g} of the resource '{name}', and no "
            f"node that may hold it has so much ({there}); start Ray on those nodes with "
            f"--resources '{{\"{name}\": {amount:g}}}', or correct the name",
            param="ray_actor_options",
        )
    return found


def _with_cpus(num_cpus: float, nodes: Sequence[Node]) -> Sequence[Node]:
    found = [node for node in nodes if node.resources.get("CPU", 0) >= num_cpus]
    if not found:
        there = sorted((node.resources.get("CPU", 0) for node in nodes), reverse=True)
        raise ConfigError(
            f"num_cpus: one replica needs {num_cpus:g} CPUs of one node, and the nodes that may "
            f"hold it have {', '.join(f'{each:g}' for each in there) or 'none'}; set num_cpus (or "
            f"num_threads): {there[0] if there else 0:g} or less, or add a node that has enough",
            param="num_cpus",
        )
    return found


def cpus_of_share(replicas_per_socket: int, nodes: Sequence[SocketCores]) -> int:
    """The `num_cpus` with which Ray puts so many replicas on each node as its sockets hold.

    Raises ConfigError where cores do not divide, or nodes differ so much that no number would do.
    """
    shares = {_share(replicas_per_socket, node) for node in nodes}
    if len(shares) == 1:
        return shares.pop()
    there = "; ".join(
        f"{node.num_cpus:g} CPUs on {len(node.cores)} sockets make "
        f"{_share(replicas_per_socket, node)}"
        for node in sorted(set(nodes), key=lambda each: each.num_cpus)
    )
    raise ConfigError(
        f"replicas_per_socket: the nodes that may hold a replica differ ({there}), and num_cpus is "
        "one number; choose nodes of one kind by label_selector, or make an application for each",
        param="replicas_per_socket",
    )


def _share(replicas_per_socket: int, node: SocketCores) -> int:
    cores = min(node.cores)
    if cores % replicas_per_socket:
        fitting = [size for size in range(1, cores + 1) if cores % size == 0]
        raise ConfigError(
            f"replicas_per_socket: {cores} cores of a socket / {replicas_per_socket} replicas = "
            f"{cores // replicas_per_socket} and {cores % replicas_per_socket} left over; use "
            f"{_or(fitting)}",
            param="replicas_per_socket",
        )
    replicas = replicas_per_socket * len(node.cores)
    share = int(node.num_cpus // replicas)
    if share and int(node.num_cpus // share) == replicas:
        return share
    raise ConfigError(
        f"replicas_per_socket: {node.num_cpus:g} CPUs, as Ray counts them on a node / {replicas} "
        f"replicas on its {len(node.cores)} sockets is no number of whole CPUs that Ray would give"
        f" to just {replicas}; start Ray there with --num-cpus={sum(node.cores)}, its cores",
        param="replicas_per_socket",
    )


def _is_rays(name: str) -> bool:
    """Whether Ray gives every node this resource by itself."""
    return name in {"CPU", "GPU", "memory", "object_store_memory"} or name.startswith("node:")


def _listed(names: Sequence[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there are none at all"


def _or(sizes: Sequence[int]) -> str:
    words = [str(size) for size in sizes]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
