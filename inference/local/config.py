"""The Serve config to run: made from one model's arguments, or read from a file, for this machine.

Either way the result is what `serve deploy` would be given, so that a laptop runs what a cluster
runs. Nothing here touches Ray or the model.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inference.args import ApplicationArgs
from inference.check.document import load
from inference.check.files import check_documents, read
from inference.check.finding import Finding, errors
from inference.local.engine_environments import with_environment
from inference.local.environment import Proxy
from inference.names import OUR_BUILDERS
from serving.errors import ConfigError
from serving.model_source import find_folder

HOST = "127.0.0.1"
PORT = 8000


@dataclass(frozen=True, slots=True)
class LocalConfig:
    """What to serve on this machine, and where it answers."""

    serve: dict[str, Any]  # as in a Serve config file
    host: str = HOST
    port: int = PORT
    proxy: Proxy = "haproxy"
    notes: tuple[str, ...] = ()  # what works otherwise than it may seem

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the server."""
        host = "127.0.0.1" if is_any_address(self.host) else self.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def health_urls(self) -> list[str]:
        """Where each application of ours says that it is well; needs no API key."""
        return [f"{self.url}{each.route_prefix}/health" for each in self.applications()]

    def applications(self) -> Iterator[Application]:
        """Every application of ours, its arguments checked."""
        for each in self.serve["applications"]:
            if each.get("import_path") in OUR_BUILDERS:
                yield Application.from_config(each)


@dataclass(frozen=True, slots=True)
class Application:
    """One application of a Serve config that our builder builds."""

    name: str
    route_prefix: str  # without a slash at its end: empty at the root
    args: ApplicationArgs
    num_replicas: int
    num_cpus: float

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Application:
        """Raises ConfigError naming the argument that is wrong."""
        name = config.get("name", "default")
        try:
            args = ApplicationArgs.model_validate(config.get("args") or {})
        except ValidationError as error:
            raise ConfigError(f"application '{name}': {first_reason(error)}") from error
        deployment: dict[str, Any] = next(iter(config.get("deployments") or [{}]))
        replicas = deployment.get("num_replicas", 1)
        options = deployment.get("ray_actor_options") or {}
        return cls(
            name=name,
            route_prefix=(config.get("route_prefix") or "/").rstrip("/"),
            args=args,
            num_replicas=replicas if isinstance(replicas, int) else 1,
            num_cpus=options.get("num_cpus", args.num_threads or 1),
        )


def from_args(args: ApplicationArgs, **where: Any) -> LocalConfig:
    """One application at `/` with these arguments."""
    given = args.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    if args.hf_token is not None:
        given["hf_token"] = args.hf_token.get_secret_value()
    application = {
        "name": "anynode",
        "route_prefix": "/",
        "import_path": OUR_BUILDERS[0],
        "args": given,
    }
    config = LocalConfig({"applications": [application]}, notes=tuple(args.notices()), **where)
    return for_this_machine(config)


def from_file(path: Path, *, host: str | None, port: int | None, proxy: Proxy) -> LocalConfig:
    """The config a file holds, checked before; host and port, where given, replace its own."""
    documents, broken = load(read(path), str(path))
    findings = sorted({*broken, *check_documents(documents)})
    _refuse(path, errors(findings))
    if len(documents) != 1 or documents[0].is_kubernetes:
        raise ConfigError(
            f"{path}: this machine runs one Serve config, and this is none; a RayService is for "
            "kubectl apply"
        )
    serve = documents[0].data
    http = serve.pop("http_options", None) or {}
    local = LocalConfig(
        serve,
        host=host or http.get("host") or HOST,
        port=port if port is not None else http.get("port", PORT),
        proxy=proxy,
        notes=tuple(each.sentence for each in findings),
    )
    return for_this_machine(local)


def _refuse(path: Path, wrong: list[Finding]) -> None:
    """Raise ConfigError for the first of them, saying where to see the others."""
    if wrong:
        more = f" (and {len(wrong) - 1} more: anynode check {path})" if len(wrong) > 1 else ""
        raise ConfigError(wrong[0].sentence + more)


def for_this_machine(config: LocalConfig) -> LocalConfig:
    """The same config with what is only true of one machine.

    Behind HAProxy every request reaches a replica from this very machine, whatever interface the
    public port is on, so that the replica's own port may refuse all others.
    """
    local = config.proxy == "haproxy" or not is_any_address(config.host)
    applications = [
        _for_this_machine(each, loopback_only=local)
        if each.get("import_path") in OUR_BUILDERS
        else each
        for each in config.serve["applications"]
    ]
    return replace(config, serve={**config.serve, "applications": applications})


def _for_this_machine(application: dict[str, Any], *, loopback_only: bool) -> dict[str, Any]:
    args = {**_absolute(application.get("args") or {}), "loopback_only": loopback_only}
    application = {**application, "args": args}
    try:
        return with_environment(application)
    except ValidationError:
        return application  # which is said, with its reason, when the arguments are looked at


def _absolute(args: dict[str, Any]) -> dict[str, Any]:
    """A folder is said from the root, since a replica's working directory may be another."""
    folder = find_folder(str(args.get("model_name", "")))
    return args if folder is None else {**args, "model_name": str(folder)}


def is_any_address(host: str) -> bool:
    """Whether `host` stands for all interfaces."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def first_reason(error: ValidationError) -> str:
    """The first thing pydantic found wrong, as `argument: reason`."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return f"{place}: {reason}" if place else reason
