"""What keys of 2023 are called today: for `anynode check`, which says so, and `anynode migrate`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Successor:
    """Where a key went. `None` for the name: nothing took its place."""

    name: str | None
    why: str
    still_read: bool = False  # the old name works for now


# Of a deployment in a Serve config.
DEPLOYMENT = {
    "max_concurrent_queries": Successor(
        "max_ongoing_requests", "renamed in Ray 2.10, whose default is 5"
    ),
    "user_method": Successor(None, "Ray has no such option any more"),
    "version": Successor(None, "Ray tells versions apart by themselves"),
    "prev_version": Successor(None, "Ray tells versions apart by themselves"),
    "is_driver_deployment": Successor(None, "Ray has no driver deployments any more"),
}

AUTOSCALING = {
    "target_num_ongoing_requests_per_replica": Successor(
        "target_ongoing_requests", "renamed in Ray 2.10"
    ),
    "smoothing_factor": Successor(
        "upscaling_factor", "there is one factor for each direction now", still_read=True
    ),
    "upscale_smoothing_factor": Successor("upscaling_factor", "renamed", still_read=True),
    "downscale_smoothing_factor": Successor("downscaling_factor", "renamed", still_read=True),
}

HTTP_OPTIONS = {
    "location": Successor("proxy_location", "where proxies run is said at the top of the config"),
    "num_cpus": Successor(None, "proxies take no CPUs of their own"),
    "middlewares": Successor(None, "they can be given in Python only"),
    "root_url": Successor(None, "Ray reads it no longer"),
}

# Of our builder's args.
ARGS = {
    "batch_wait_timeout_s": Successor("batch_timeout", "the same argument for GPUs and CPUs"),
    "tensor_parallel_size": Successor("gpu_count", "a replica's GPUs are its tensor parallel size"),
    "dtype": Successor("data_type", "the same word for every engine"),
    "max_num_seqs": Successor("batch_size", "sequences that are decoded together"),
}

# Of a RayService's spec.
RAY_SERVICE = {
    "serviceUnhealthySecondThreshold": Successor(
        None, "KubeRay replaces no cluster for being unhealthy any more", still_read=True
    ),
    "deploymentUnhealthySecondThreshold": Successor(
        None, "KubeRay replaces no cluster for being unhealthy any more", still_read=True
    ),
    "serveConfig": Successor("serveConfigV2", "the config is one text now, as Serve reads it"),
    "serveDeploymentGraphConfig": Successor(
        "serveConfigV2", "the config is one text now, as Serve reads it"
    ),
}

HEAD_GROUP = {
    "replicas": Successor(None, "there is one head"),
}

ITEM = "*"  # any item of a list

TABLES = {
    ("http_options",): HTTP_OPTIONS,
    ("applications", ITEM, "args"): ARGS,
    ("applications", ITEM, "deployments", ITEM): DEPLOYMENT,
    ("applications", ITEM, "deployments", ITEM, "autoscaling_config"): AUTOSCALING,
    ("spec",): RAY_SERVICE,
    ("spec", "rayClusterConfig", "headGroupSpec"): HEAD_GROUP,
}


def successor(path: tuple[str | int, ...]) -> Successor | None:
    """What became of the key at `path`; None for a key that never was, or still is."""
    above = tuple(ITEM if isinstance(part, int) else part for part in path[:-1])
    return TABLES.get(above, {}).get(str(path[-1]))
