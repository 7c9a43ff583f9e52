"""What one replica on CPUs asks of Ray, and whether this cluster has it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from inference import cluster
from inference.args import ApplicationArgs
from inference.cluster import Asked
from inference.names import given
from serving.cpu.node_choice import Node, cpus_of_share, fitting_nodes, room
from serving.errors import ConfigError

logger = logging.getLogger(__name__)

DEPLOYMENT = "CPUDeployment"


def actor_options(args: ApplicationArgs) -> dict[str, Any]:
    """The deployment's `ray_actor_options`; raises ConfigError for what no node can ever hold.

    Where a Serve config has options of its own, those are what is checked, for Serve will put them
    over ours.
    """
    nodes = cluster.nodes()
    asked = cluster.asked_for(args, DEPLOYMENT) if nodes is not None else []
    ours = {"num_cpus": args.num_threads or 1, **given(label_selector=args.label_selector)}
    if args.replicas_per_socket is not None and not any(each.ray_actor_options for each in asked):
        ours["num_cpus"] = args.num_threads or _share_of_socket(args, ours, nodes or [])
    for each in asked or [Asked()]:
        if nodes is not None:
            _check_selector(args, each)
            _check(each.ray_actor_options or ours, each.num_replicas, nodes)
    return ours


def _check_selector(args: ApplicationArgs, asked: Asked) -> None:
    """Raise ConfigError where Serve would drop the selector of `args`."""
    options = asked.ray_actor_options
    if args.label_selector and options and options.get("label_selector") != args.label_selector:
        raise ConfigError(
            "label_selector: the config's ray_actor_options replaces all that args asks of nodes; "
            "leave it out and set num_threads, or repeat the selector in it",
            param="label_selector",
        )


def _check(options: Mapping[str, Any], num_replicas: int, nodes: Sequence[Node]) -> None:
    """Raise ConfigError when Serve would wait for ever; say so when it waits for nodes to come."""
    try:
        fitting = fitting_nodes(options, nodes)
    except ConfigError as error:
        cluster.wait_or_raise(error)
        return
    holds = room(options, fitting)
    if holds < num_replicas:
        logger.warning(
            "num_replicas: %d replicas are asked for, and the nodes of this cluster hold %g",
            num_replicas,
            holds,
        )


def _share_of_socket(
    args: ApplicationArgs, options: Mapping[str, Any], nodes: Sequence[Node]
) -> int:
    """`num_cpus` of a replica that gets its part of a socket.

    Raises ConfigError where nodes are not known, or differ, or do not divide.
    """
    assert args.replicas_per_socket is not None
    if nodes and not cluster.grows():
        sockets = cluster.sockets_of(fitting_nodes({**options, "num_cpus": 1}, nodes))
        if sockets:
            return cpus_of_share(args.replicas_per_socket, sockets)
    raise ConfigError(
        "replicas_per_socket: it is not known yet which nodes there will be, so it cannot be "
        "turned into num_cpus; set num_cpus in ray_actor_options to a node's CPUs / (its sockets "
        f"x {args.replicas_per_socket})",
        param="replicas_per_socket",
    )
