"""What can be wrong with an application beside its arguments: builder, routes, deployments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from inference.app import SPARE_REQUESTS
from inference.args import VLLM, ApplicationArgs
from inference.check.applications import Application, applications
from inference.check.arguments import check_arguments
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.look import mapping
from inference.check.secrets import check_secrets
from inference.gpu_settings import wanted
from inference.names import OUR_BUILDERS
from serving.errors import ConfigError
from serving.gpu.gpu_arithmetic import check_replicas
from serving.gpu.placement import gpus_of_actor


def check_applications(document: Document) -> Iterator[Finding]:
    """All rules about the applications of a Serve config."""
    for application in applications(document):
        yield from _import_path(document, application)
        yield from _route(document, application)
        if application.is_ours:
            yield from check_arguments(document, application)
            yield from _deployments(document, application)
    yield from _same(document)
    yield from check_secrets(document)


def _import_path(document: Document, application: Application) -> Iterator[Finding]:
    said = application.config.get("import_path")
    if application.is_ours or not isinstance(said, str):
        return
    if re.split(r"[.:]", said)[0] == "inference":
        yield document.finding(
            "import-path",
            (*application.path, "import_path"),
            f"anynode has no builder {said}",
            f"write {OUR_BUILDERS[0]}",
        )


def _route(document: Document, application: Application) -> Iterator[Finding]:
    route, path = application.config.get("route_prefix"), (*application.path, "route_prefix")
    if not isinstance(route, str):
        return
    if not route.startswith("/"):
        yield document.finding(
            "route-prefix",
            path,
            f"Serve cannot deploy the route {route}: it has no slash",
            f"write /{route}",
        )
    elif route != "/" and route.endswith("/"):
        yield document.finding(
            "route-prefix",
            path,
            "a route that ends with a slash is refused when it is deployed",
            f"write {route.rstrip('/')}",
        )


def _same(document: Document) -> Iterator[Finding]:
    """Two applications with one name, or at one route."""
    for rule, key, default in (
        ("application-name", "name", "default"),
        ("route-prefix", "route_prefix", "/"),
    ):
        seen = set[str]()
        for application in applications(document):
            said = str(application.config.get(key, default))
            if said in seen:
                yield document.finding(
                    rule,
                    (*application.path, key),
                    f"another application before it has the same {key}, {said}",
                    "give each its own",
                )
            seen.add(said)


def _deployments(document: Document, application: Application) -> Iterator[Finding]:
    args, name = application.args, application.deployment_name
    for path, deployment in application.deployments():
        if args is None or name is None:
            return
        said = deployment.get("name")
        if isinstance(said, str) and said != name:
            yield document.finding(
                "deployment-name",
                (*path, "name"),
                f"by its args ({_deciding(args)}) the builder makes {name}: Serve refuses {said}",
                f"write {name}, or change target_device",
            )
            continue
        yield from _options(document, args, path, deployment)
        yield from _most_requests(document, args, path, deployment)


def _deciding(args: ApplicationArgs) -> str:
    """The argument that decides which deployment it is."""
    if args.engine is not None:
        return f"engine: {args.engine}"
    if args.target_device is not None:
        return f"target_device: {args.target_device}"
    return "neither target_device nor engine"


def _options(
    document: Document, args: ApplicationArgs, path: Path, deployment: Mapping[str, Any]
) -> Iterator[Finding]:
    """ray_actor_options replaces what the builder asks of Ray, whole."""
    options, here = mapping(deployment.get("ray_actor_options")), (*path, "ray_actor_options")
    num_gpus = options.get("num_gpus")
    if args.uses_vllm and not args.vllm_on_cpu and num_gpus and not wanted(args).spans_nodes:
        needed = gpus_of_actor(wanted(args))
        if isinstance(num_gpus, int | float) and num_gpus != needed:
            yield document.finding(
                "gpu-options",
                (*here, "num_gpus"),
                f"a replica uses {needed:g} GPUs by its args, and Ray would give it {num_gpus:g}",
                "leave num_gpus out, or make them equal",
            )
    selector = args.label_selector
    if selector and options and options.get("label_selector") != selector:
        yield document.finding(
            "label-selector",
            here,
            "it replaces all that args ask of nodes, their label_selector too",
            "repeat the selector in ray_actor_options, or set num_threads and leave these out",
        )
    num_cpus = options.get("num_cpus")
    if args.num_threads and isinstance(num_cpus, int | float) and args.num_threads > num_cpus:
        yield document.finding(
            "num-threads",
            (*here, "num_cpus"),
            f"the engine computes with {args.num_threads} threads (num_threads) on {num_cpus:g} "
            "CPUs, which is slower than with as many as it has",
            "leave num_threads out of args",
        )


def _most_requests(
    document: Document, args: ApplicationArgs, path: Path, deployment: Mapping[str, Any]
) -> Iterator[Finding]:
    most = deployment.get("max_ongoing_requests")
    is_known = not args.uses_vllm or "batch_size" in args.model_fields_set  # vLLM's default differs
    if is_known and isinstance(most, int) and most < args.batch_size:
        yield document.finding(
            "max-ongoing-requests",
            (*path, "max_ongoing_requests"),
            f"Serve sends a replica {most} requests at most, and it could decode "
            f"{args.batch_size} together",
            f"leave it out: the builder takes batch_size, max_queued_requests and "
            f"{SPARE_REQUESTS} more",
        )
    replicas = deployment.get("num_replicas")
    if isinstance(replicas, int) and args.engine in {None, VLLM}:
        try:
            check_replicas(replicas, args.replicas_per_gpu or 1)
        except ConfigError as error:
            why, _, fix = error.message.partition("; ")
            yield document.finding("gpu-share", (*path, "num_replicas"), why, fix)
