"""Ports, probes and proxies: whether traffic reaches the replicas, and pods become ready."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from inference.check.applications import applications
from inference.check.document import Document, Path
from inference.check.finding import Finding
from inference.check.look import at, mapping, sequence
from inference.check.ray_service import WORKERS, Group, RayService, environment, number
from inference.check.replicas import replicas_of

SERVE = "serve"  # KubeRay's name of the port that Serve's Service sends traffic to
PROBED_PORT = 8000  # where KubeRay's own check of workers asks if no port is named so
# Of Ray's processes: GCS, dashboard, client server, metrics of nodes and of HAProxy, node health.
RAYS_PORTS = {6379, 8265, 10001, 8080, 44217, 44227, 52365, 9101, 8404}
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
PROXY_VARIABLE = "RAY_SERVE_ENABLE_HA_PROXY"
PROXY_HEALTH = "/-/healthz"
ASKED = re.compile(r":(\d+)" + PROXY_HEALTH)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def check_network(service: RayService, services: Sequence[Document]) -> Iterator[Finding]:
    """All rules about ports and probes; `services` are the Service objects beside it."""
    if service.serve is None:
        return
    yield from _host(service)
    yield from _head_port(service)
    yield from _worker_ports(service)
    yield from _probes(service)
    yield from _endpoints(service)
    yield from _readiness(service)
    yield from _services(service, services)
    yield from _environment(service)


def ports(container: Mapping[str, Any]) -> dict[str, int]:
    """A container's named ports."""
    return {
        str(each.get("name")): port
        for each in map(mapping, sequence(container.get("ports")))
        if (port := number(each.get("containerPort"))) is not None
    }


def _host(service: RayService) -> Iterator[Finding]:
    host = at(service.serve.data, "http_options", "host") if service.serve else None
    if service.serve and host in LOOPBACK:
        yield service.serve.finding(
            "http-host",
            ("http_options", "host"),
            f"on {host} Serve hears nobody outside its own pod",
            "write 0.0.0.0",
        )


def _head_port(service: RayService) -> Iterator[Finding]:
    document, head = service.document, service.head
    if not head.container:
        return
    named = {
        name: port
        for name, port in ports(head.container).items()
        if name == SERVE or name.startswith(f"{SERVE}-")
    }
    path = (*head.container_path, "ports")
    if not named:
        yield document.finding(
            "serve-port",
            path,
            "no port of the head is named serve, so KubeRay makes no Service for Serve at all",
            f"add {{containerPort: {service.http_port}, name: serve}}",
        )
    elif service.http_port not in named.values():
        yield document.finding(
            "serve-port",
            _port_path(head, next(iter(named))),
            f"the Service sends traffic to {_or(named.values())}, and Serve listens on "
            f"{service.http_port} (http_options.port)",
            f"write containerPort: {service.http_port} for the port named serve",
        )


def _port_path(group: Group, name: str) -> Path:
    """The number of a named port; all ports where none is called so."""
    path = (*group.container_path, "ports")
    for index, each in enumerate(sequence(group.container.get("ports"))):
        if at(each, "name") == name:
            return (*path, index, "containerPort")
    return path


def _worker_ports(service: RayService) -> Iterator[Finding]:
    if service.proxy_location != "EveryNode":
        return
    for group in service.workers:
        port = ports(group.container).get(SERVE)
        if not group.container or (port or PROBED_PORT) == service.http_port:
            continue
        asked = f"port {port}" if port else f"{PROBED_PORT}, as no port is named serve"
        yield service.document.finding(
            "serve-port",
            _port_path(group, SERVE),
            f"KubeRay asks the proxy's health at {asked}, and Serve listens on "
            f"{service.http_port}: these workers never become ready",
            f"add {{containerPort: {service.http_port}, name: serve}}",
        )


def _probes(service: RayService) -> Iterator[Finding]:
    known = _known_ports(service)
    for group in service.groups:
        named = ports(group.container)
        for kind in PROBES:
            path, probe = (*group.container_path, kind), mapping(group.container.get(kind))
            for asked, url in _asked(probe):
                port = named.get(asked, asked) if isinstance(asked, str) else asked
                if PROXY_HEALTH in url and port != service.http_port:
                    yield service.document.finding(
                        "probe",
                        path,
                        f"it asks Serve's proxy at {port}, and Serve listens on "
                        f"{service.http_port}",
                        f"write port: {service.http_port}",
                    )
                elif isinstance(port, str) or port not in known:
                    yield service.document.finding(
                        "probe",
                        path,
                        f"it asks port {port}, where nothing listens",
                        f"ask {PROXY_HEALTH} at {service.http_port}, or /api/healthz at 52365",
                    )


def _asked(probe: Mapping[str, Any]) -> Iterator[tuple[int | str, str]]:
    """The port a probe asks, and what it asks for."""
    for kind in ("httpGet", "tcpSocket"):
        asked = mapping(probe.get(kind))
        if isinstance(port := asked.get("port"), int | str):
            yield port, str(asked.get("path", ""))
    command = " ".join(map(str, sequence(at(probe, "exec", "command"))))
    for port in ASKED.findall(command):
        yield int(port), PROXY_HEALTH


def _known_ports(service: RayService) -> set[int]:
    declared = {port for group in service.groups for port in ports(group.container).values()}
    return declared | RAYS_PORTS | {service.http_port}


def _endpoints(service: RayService) -> Iterator[Finding]:
    assert service.serve is not None
    excluded = ("spec", "excludeHeadPodFromServeSvc")
    without_head = at(service.document.data, *excluded) is True
    if service.proxy_location == "Disabled":
        yield service.serve.finding(
            "no-endpoints",
            ("proxy_location",),
            "without proxies nothing answers HTTP",
            "write EveryNode",
        )
    elif without_head and (service.proxy_location == "HeadOnly" or not service.workers):
        yield service.document.finding(
            "no-endpoints",
            excluded,
            "the only proxy is on the head (proxy_location: HeadOnly, or no workers), so the "
            "Service has nobody to send traffic to",
            "write proxy_location: EveryNode, or leave this out",
        )


def _readiness(service: RayService) -> Iterator[Finding]:
    """KubeRay asks every worker's proxy whether it is ready, and some have none."""
    unasked = [group for group in service.workers if "readinessProbe" not in group.container]
    unasked = [group for group in unasked if group.container and group.num_pods()]
    if service.proxy_location == "HeadOnly":
        for group in unasked:
            yield service.document.finding(
                "unready-workers",
                group.container_path,
                "KubeRay asks every worker's proxy, and with HeadOnly they have none: these pods "
                "never become ready",
                "write proxy_location: EveryNode, or give the container a readinessProbe (httpGet "
                "/api/healthz, port 52365)",
            )
        return
    replicas = (
        [each for app in applications(service.serve) for each in replicas_of(app)]
        if service.serve
        else []
    )
    pods, most = sum(group.num_pods() for group in unasked), sum(each.most for each in replicas)
    if replicas and service.proxy_location == "EveryNode" and pods > most:
        yield service.document.finding(
            "idle-worker",
            WORKERS,
            f"{most} replicas for {pods} workers: one without a replica has no proxy, fails "
            "KubeRay's check and never becomes ready",
            "make as many replicas as workers, or give the containers a readinessProbe (httpGet "
            "/api/healthz, port 52365)",
        )


def _environment(service: RayService) -> Iterator[Finding]:
    """Serve reads what its proxies are from the environment of every node."""
    said = [
        environment(group.container).get(PROXY_VARIABLE) or "not set" for group in service.groups
    ]
    for group, value in zip(service.groups, said, strict=True):
        if group.container and value != said[0]:
            yield service.document.finding(
                "proxy-environment",
                (*group.container_path, "env"),
                f"{PROXY_VARIABLE} is {value} here and {said[0]} on the head",
                "give all groups the same",
            )


def _services(service: RayService, services: Sequence[Document]) -> Iterator[Finding]:
    own = ("spec", "serveService", "spec", "ports")
    yield from _service_ports(service, service.document, own)
    for each in services:
        selector = mapping(at(each.data, "spec", "selector"))
        if _selects(service, selector):
            yield from _service_ports(service, each, ("spec", "ports"))


def _selects(service: RayService, selector: Mapping[str, Any]) -> bool:
    """Whether a Service means pods of this RayService's cluster."""
    origin = selector.get("ray.io/originated-from-cr-name") or selector.get("ray.io/cluster")
    if origin is not None:
        return str(origin).startswith(service.name)
    return any(str(key).startswith("ray.io/") for key in selector)


def _service_ports(service: RayService, document: Document, path: Path) -> Iterator[Finding]:
    known = _known_ports(service)
    names = {name for group in service.groups for name in ports(group.container)}
    for index, each in enumerate(map(mapping, sequence(at(document.data, *path)))):
        target = each.get("targetPort", each.get("port"))
        means_serve = str(each.get("name", "")).startswith(SERVE)
        wrong = (
            target not in names
            if isinstance(target, str)
            else (means_serve and target != service.http_port) or target not in known
        )
        if wrong and target is not None:
            yield document.finding(
                "service-port",
                (*path, index, "targetPort"),
                f"it sends traffic to {target}, and Serve listens on {service.http_port}",
                f"write targetPort: {service.http_port}, or serve where the port is named so",
            )


def _or(numbers: Any) -> str:
    return " or ".join(str(each) for each in numbers)
