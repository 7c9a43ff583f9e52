"""A RayService as the YAML file people keep: in order, with the reasons beside what is unusual."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from inference.manifest.ray_service import ray_service
from inference.manifest.settings import REGISTRY, ManifestSettings
from inference.plan.fleet import Fleet
from inference.plan.plan import Plan

# Where a reason stands: before this key, for an item of a list before the first one's only.
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
    return to_yaml(ray_service(plan, fleet, settings), head)


def to_yaml(service: dict[str, Any], head: Sequence[str]) -> str:
    """Plain dicts as YAML, with `head` and the reasons as comments."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    commented = _commented(service, ())
    commented.yaml_set_start_comment("\n".join(head))
    text = io.StringIO()
    yaml.dump(commented, text)
    return text.getvalue()


def _commented(value: Any, path: tuple[str, ...]) -> Any:
    """The same value in ruamel's types, reasons attached."""
    from ruamel.yaml.comments import CommentedMap
    from ruamel.yaml.scalarstring import LiteralScalarString

    if isinstance(value, list):
        return [_commented(each, ()) for each in value]
    if not isinstance(value, dict):
        long = isinstance(value, str) and "\n" in value
        return LiteralScalarString(value) if long else value
    made = CommentedMap((key, _commented(each, (*path, key))) for key, each in value.items())
    for key in made:
        if (reason := REASONS.get((*path, key))) is not None:
            made.yaml_set_comment_before_after_key(key, before=reason, indent=2 * len(path))
    return made
