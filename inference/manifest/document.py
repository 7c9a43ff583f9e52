"""A RayService as the YAML file people keep: in order, with the reasons beside what is unusual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from inference.manifest.ray_service import ray_service
from inference.manifest.settings import REGISTRY, ManifestSettings
from inference.manifest.storage import model_store
from inference.plan.fleet import Fleet
from inference.plan.plan import Plan

# Where a reason stands: before this key.
REASONS = {
    ("spec", "upgradeStrategy"): (
        "Nodes are fixed: there is no room for a second cluster beside this one. Changes of the\n"
        "Serve config are made in place; for others the RayService is deleted and applied again."
    ),
    ("spec", "serveConfigV2"): "The file that `serve run` and `anynode serve` take, as it is.",
    ("spec", "rayClusterConfig", "authOptions"): (
        "KubeRay makes a token; without it nobody can give Ray work."
    ),
    ("spec", "rayClusterConfig", "gcsFaultToleranceOptions"): (
        "The head may be lost: what it knows is in k8s/redis, and the workers go on answering."
    ),
    ("spec", "rayClusterConfig", "headGroupSpec", "resources"): "No replica: see workerGroupSpecs.",
    ("spec", "rayClusterConfig", "workerGroupSpecs"): (
        "One model's share of each node; Serve finds it by the label. Every pod has replicas, so\n"
        "KubeRay's own probe of readiness, which asks Serve's proxy, is right for it."
    ),
}


def document(plan: Plan, fleet: Fleet, settings: ManifestSettings, made_by: str) -> str:
    """The whole file; `made_by` is the command that writes it again."""
    head = [f"Written by: {made_by}"]
    if settings.registry == REGISTRY:
        head.append(f"Put your registry in place of {REGISTRY}; docs/kubernetes.md tells the rest.")
    return to_yaml([*model_store(fleet.store), ray_service(plan, fleet, settings)], head)


def to_yaml(objects: Sequence[dict[str, Any]], head: Sequence[str]) -> str:
    """Plain dicts as YAML documents, with `head` and the reasons as comments."""
    text = yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=4096)
    return "".join(f"# {line}\n" for line in head) + _with_reasons(text)


def _with_reasons(text: str) -> str:
    """The text with each reason before its key, which is the first so far in and so called."""
    lines = text.splitlines(keepends=True)
    for path, reason in REASONS.items():
        indent = "  " * (len(path) - 1)
        at = next(n for n, line in enumerate(lines) if line.startswith(f"{indent}{path[-1]}:"))
        lines[at:at] = [f"{indent}# {line}\n" for line in reason.splitlines()]
    return "".join(lines)


class _Dumper(yaml.SafeDumper):
    """As Kubernetes' own examples are written: long strings as they are, lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _string)
