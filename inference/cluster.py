"""What the builder may ask the Ray cluster it runs in; nothing where it runs in none."""

from __future__ import annotations


def gpus_of_nodes() -> list[int] | None:
    """GPUs of each living node; None outside a cluster."""
    import ray

    if not ray.is_initialized():
        return None
    return [int(node["Resources"].get("GPU", 0)) for node in ray.nodes() if node["Alive"]]


def grows() -> bool:
    """Whether an autoscaler may add nodes, so that what is missing now may come."""
    from ray._private.state import state  # told to Ray's own libraries in no public place

    return state.get_max_resources_from_cluster_config() is not None
