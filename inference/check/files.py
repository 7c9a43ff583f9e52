"""Checks files as they are given to Ray or to kubectl: what everything else here is for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from inference.check.application_rules import check_applications
from inference.check.document import RAY_SERVICE, Document, load
from inference.check.finding import Finding
from inference.check.fleet import check_fleet
from inference.check.ground import check_ground
from inference.check.images import check_images
from inference.check.keys import doubled, kuberay_keys, ray_keys
from inference.check.kuberay_features import check_features
from inference.check.kuberay_rules import check_kuberay
from inference.check.network import check_network
from inference.check.ray_service import RayService
from serving.errors import ConfigError

STDIN = "-"
NOTHING = "there is nothing in it; give a Serve config or a manifest"
UNCHECKED = {"RayCluster", "RayJob", "RayCronJob"}  # Ray's, but nothing of ours is in them


def check_files(paths: Iterable[str | Path]) -> list[Finding]:
    """What is wrong with these files, which may refer to each other; in the order of their lines.

    Raises ConfigError for a file that cannot be read, or holds nothing.
    """
    documents: list[Document] = []
    findings: list[Finding] = []
    for path in paths:
        found, broken = load(read(path), str(path))
        if not found and not broken:
            raise ConfigError(f"{path}: {NOTHING}")
        documents += found
        findings += broken
    return sorted({*findings, *check_documents(documents)})


def check_text(text: str, file: str) -> list[Finding]:
    """The same for a text that is in no file."""
    documents, broken = load(text, file)
    return sorted({*broken, *check_documents(documents)})


def check_documents(documents: Sequence[Document]) -> list[Finding]:
    """What is wrong with documents that were loaded together."""
    beside = [each for each in documents if each.is_kubernetes and each.kind != RAY_SERVICE]
    return [finding for each in documents for finding in _check(each, beside)]


def read(path: str | Path) -> str:
    """A file's text; `-` is standard input. Raises ConfigError where it cannot be read."""
    try:
        if str(path) == STDIN:
            return sys.stdin.read()
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigError(f"{path}: {reason}; give a Serve config or a manifest") from error


def _check(document: Document, beside: Sequence[Document]) -> Iterator[Finding]:
    yield from doubled(document)
    yield from document.broken
    if not isinstance(document.data, dict):
        yield document.finding(
            "kind",
            (),
            "this is neither a Serve config nor a Kubernetes object",
            "begin with applications: or with apiVersion: and kind:",
        )
    elif document.kind == RAY_SERVICE:
        yield from _check_ray_service(RayService(document), beside)
    elif not document.is_kubernetes:
        yield from _check_serve_config(document)
    elif document.kind is None:
        yield document.finding(
            "kind",
            (),
            "a Kubernetes object says what it is, and this one does not",
            f"add kind: {RAY_SERVICE}",
        )
    elif document.kind in UNCHECKED:
        yield document.finding(
            "kind",
            ("kind",),
            f"a {document.kind} is not checked: it serves nothing",
            f"write kind: {RAY_SERVICE}, whose serveConfigV2 holds the applications",
        )


def _check_serve_config(document: Document) -> Iterator[Finding]:
    yield from doubled(document) if document.root else ()
    yield from ray_keys(document)
    yield from check_applications(document)


def _check_ray_service(service: RayService, beside: Sequence[Document]) -> Iterator[Finding]:
    yield from kuberay_keys(service.document)
    yield from check_kuberay(service)
    yield from check_features(service)
    if service.serve is not None:
        yield from _check_serve_config(service.serve)
    elif not service.document.broken:
        yield service.document.finding(
            "missing-key",
            ("spec",),
            "there is no serveConfigV2, so nothing is served",
            "add serveConfigV2: | with the Serve config",
        )
    yield from check_fleet(service)
    yield from check_network(service, [each for each in beside if each.kind == "Service"])
    yield from check_ground(service, beside)
    yield from check_images(service)
