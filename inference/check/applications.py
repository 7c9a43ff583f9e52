"""The applications of a Serve config, as our builders would see them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from inference.app import SPARE_REQUESTS, cpu_settings
from inference.args import ALIASES, VLLM, ApplicationArgs
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.look import mapping, pairs, sequence
from inference.check.old_names import successor
from inference.cpu_placement import DEPLOYMENT as CPU_DEPLOYMENT
from inference.gpu_settings import gpu_settings, wanted
from inference.names import OUR_BUILDERS
from serving.engine import nearest
from serving.errors import ConfigError
from serving.gpu.gpu_arithmetic import check_replicas
from serving.gpu.placement import gpus_of_actor

GPU_DEPLOYMENT = "VLLMPredictDeployment"
SHOULD_BE = "Input should be "  # how pydantic begins
PLACEHOLDER = re.compile(r"^<[^<>]*>$|^!+$")
SECRET_KEY = re.compile(
    r"(?<!bos_)(?<!eos_)(?<!pad_)(?<!unk_)(?<!stop_)token$|"  # those are a tokenizer's
    r"secret$|password$|api_?keys?$|access_key$",
    re.IGNORECASE,
)
HF_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}\b")


@dataclass(frozen=True, slots=True)
class Application:
    """One application of a Serve config."""

    path: Path
    config: Mapping[str, Any]
    args: ApplicationArgs | None  # None: another's builder, or arguments that ours refuses

    @property
    def name(self) -> str:
        """Serve's name of it."""
        return str(self.config.get("name", "default"))

    @property
    def is_ours(self) -> bool:
        """Whether our builder makes it."""
        return self.config.get("import_path") in OUR_BUILDERS

    @property
    def deployment_name(self) -> str | None:
        """What our builder calls its one deployment; None where it makes none."""
        if self.args is None:
            return None
        return GPU_DEPLOYMENT if self.args.uses_vllm else CPU_DEPLOYMENT

    def deployments(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """What the config says of each deployment, and where."""
        for index, each in enumerate(sequence(self.config.get("deployments"))):
            yield (*self.path, "deployments", index), mapping(each)


def applications(document: Document) -> list[Application]:
    """Every application of a Serve config."""
    found = []
    for index, each in enumerate(sequence(mapping(document.data).get("applications"))):
        config = mapping(each)
        ours = config.get("import_path") in OUR_BUILDERS
        found.append(Application(("applications", index), config, _args(config) if ours else None))
    return found


def _args(config: Mapping[str, Any]) -> ApplicationArgs | None:
    """The arguments, those left out that are faults of their own."""
    given = {
        key: value
        for key, value in mapping(config.get("args")).items()
        if key in ApplicationArgs.model_fields or key in ALIASES
    }
    if _is_placeholder(given.get("hf_token")):
        del given["hf_token"]
    try:
        return ApplicationArgs.model_validate(given)
    except ValidationError:
        return None


def check_applications(document: Document) -> Iterator[Finding]:
    """All rules about the applications of a Serve config."""
    for application in applications(document):
        yield from _import_path(document, application)
        yield from _route(document, application)
        if application.is_ours:
            yield from _arguments(document, application)
            yield from _combination(document, application)
            yield from _notices(document, application)
            yield from _deployments(document, application)
    yield from _secrets(document)


def _import_path(document: Document, application: Application) -> Iterator[Finding]:
    said = application.config.get("import_path")
    if application.is_ours or not isinstance(said, str):
        return
    if re.split(r"[.:]", said)[0] == "inference":
        hint = nearest(said, list(OUR_BUILDERS))
        yield document.finding(
            "import-path",
            (*application.path, "import_path"),
            f"anynode has no builder {said}{hint}",
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


def _arguments(document: Document, application: Application) -> Iterator[Finding]:
    """Each argument that the builder does not know, or whose value it refuses."""
    path = (*application.path, "args")
    args = mapping(application.config.get("args"))
    known = [*ApplicationArgs.model_fields, *ALIASES]
    for key, value in args.items():
        if key not in known:
            yield _unknown_argument(document, (*path, key), known)
        elif _is_placeholder(value):
            yield document.finding(
                "placeholder", (*path, key), f"{value} is a placeholder", _filling(key)
            )
    read = {
        key: value
        for key, value in args.items()
        if key in known and not (key == "hf_token" and _is_placeholder(value))
    }
    try:
        ApplicationArgs.model_validate(read)
    except ValidationError as error:
        for each in error.errors(include_url=False):
            yield _refused(document, path, each)


def _unknown_argument(document: Document, path: Path, known: list[str]) -> Finding:
    key = str(path[-1])
    old = successor(path)
    if old is not None and old.name is not None:
        return document.finding(
            "renamed-key", path, f"there is no argument {key} ({old.why})", f"call it {old.name}"
        )
    hint = nearest(key, known)
    fix = f"call it {hint.split(chr(39))[1]}" if hint else "leave it out"
    return document.finding("args", path, f"there is no argument {key}{hint}", fix)


def _refused(document: Document, path: Path, error: Any) -> Finding:
    """What pydantic finds wrong with one argument."""
    known, location = path, error["loc"]
    for part in location:
        if (*known, part) not in document.marks:
            break
        known = (*known, part)
    if error["type"] == "missing":
        name = ".".join(str(part) for part in location)
        return document.finding("args", known, f"{name} must be given", f"add {name}")
    reason = error["msg"].removeprefix("Value error, ")
    if reason.startswith(SHOULD_BE):
        should_be = reason.removeprefix(SHOULD_BE)
        return document.finding("args", known, "its value is refused", f"write {should_be}")
    why, _, fix = reason.partition("; ")
    return document.finding("args", known, why, fix or "correct it")


def _combination(document: Document, application: Application) -> Iterator[Finding]:
    """Arguments that contradict each other, by the builder's own words."""
    args = application.args
    if args is None:
        return
    try:
        if args.uses_vllm:
            gpu_settings(args)
            wanted(args)
        else:
            cpu_settings(args)
    except ConfigError as error:
        path = (*application.path, "args")
        if error.param and (*path, error.param) in document.marks:
            path = (*path, error.param)
        why, _, fix = error.message.partition("; ")
        yield document.finding("args", path, why, fix or "change one of them")


def _notices(document: Document, application: Application) -> Iterator[Finding]:
    for notice in application.args.notices() if application.args is not None else ():
        name, _, said = notice.partition(": ")
        if name == "hf_token":
            continue  # which a rule of its own says
        path = (*application.path, "args", name)
        yield document.finding("args-notice", path, said, f"leave {name} out")


def _deployments(document: Document, application: Application) -> Iterator[Finding]:
    args, name = application.args, application.deployment_name
    for path, deployment in application.deployments():
        if args is None or name is None:
            return
        said = deployment.get("name")
        if isinstance(said, str) and said != name:
            device = "neither target_device nor engine is set" if args.uses_vllm else "args say so"
            yield document.finding(
                "deployment-name",
                (*path, "name"),
                f"with these args the builder makes {name} ({device}), so Serve refuses {said}",
                f"write {name}, or change target_device",
            )
            continue
        yield from _options(document, args, path, deployment)
        yield from _most_requests(document, args, path, deployment)


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


def _secrets(document: Document) -> Iterator[Finding]:
    """Secrets in a Serve config: in the object of a RayService everybody sees them."""
    in_cluster = bool(document.root)
    for path, value in pairs(document):
        if not isinstance(value, str) or not value or _is_placeholder(value):
            continue
        if path[-1] == "hf_token" and "args" in path and not in_cluster:
            yield document.finding(
                "hf-token",
                path,
                "a token in a file is read by everybody who reads the file",
                "leave it out and set HF_TOKEN in the environment",
            )
        elif SECRET_KEY.search(str(path[-1])) or HF_TOKEN.search(value):
            where = "the RayService keeps it, and Ray's dashboard shows it"
            yield document.finding(
                "secret",
                path,
                f"this is a secret: {where if in_cluster else 'it does not belong'}"
                f"{'' if in_cluster else ' into a file'}",
                "take it from a Secret, by secretKeyRef in the env of the groups that load the "
                "model"
                if in_cluster
                else "set it in the environment",
            )


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and PLACEHOLDER.match(value) is not None


def _filling(key: str) -> str:
    return "leave it out and set HF_TOKEN instead" if key == "hf_token" else "write what is meant"
