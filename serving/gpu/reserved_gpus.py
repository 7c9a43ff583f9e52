"""GPUs for a replica to which Ray gave none.

A config's `ray_actor_options` replaces the builder's whole, and with it the GPUs: the replica
would run on all GPUs of its node, and Ray would give them to others as well. An actor of ours
then takes as many as the replica should have, on its node, and keeps them as long as it lives.
Whose GPUs they are Ray knows; we pass on what it tells the actor to see.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from serving.errors import ConfigError
from serving.gpu.visible_gpus import visibility

PATIENCE_S = 60.0  # a replica that is replaced gives its GPUs back within this


class Holder:
    """An actor whose only work is to have GPUs."""

    def visible(self) -> dict[str, str]:
        """The variables that say which."""
        return visibility()


async def reserve_gpus(num_gpus: float, *, patience_s: float = PATIENCE_S) -> Any:
    """Hold `num_gpus` of this node's GPUs and make this process see only them.

    Before anything here has touched a GPU. They are held until the returned handle is dropped.
    Raises ConfigError when the node has not so many, or not free.
    """
    here = ray.get_runtime_context().get_node_id()
    on_this_node = NodeAffinitySchedulingStrategy(here, soft=False)
    holder = (
        ray.remote(Holder)
        .options(num_cpus=0, num_gpus=num_gpus, scheduling_strategy=on_this_node)
        .remote()
    )
    try:
        seen = await asyncio.wait_for(holder.visible.remote(), patience_s)
    except (TimeoutError, ActorUnschedulableError) as error:
        raise ConfigError(
            "ray_actor_options: it replaces the deployment's own and asks for no GPU, and the node "
            f"that Ray chose has not {num_gpus:g} free; add num_gpus: {num_gpus:g} to it, so that "
            "Ray chooses a node that has",
            param="ray_actor_options",
        ) from error
    os.environ.update(seen)
    return holder
