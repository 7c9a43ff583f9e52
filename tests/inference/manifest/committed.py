"""The manifests in the repository, each the output for a fleet in it."""

from __future__ import annotations

from pathlib import Path

import yaml

from inference.manifest.document import document
from inference.manifest.settings import ManifestSettings
from inference.plan.fleet import Fleet
from inference.plan.make import make_plan
from inference.plan.model_facts import of_folder, of_known
from inference.plan.plan import Plan

ROOT = Path(__file__).parents[3]

COMMITTED = {
    "nvidia": "serving/gpu/cluster.nvidia.yml",
    "amd": "serving/gpu/cluster.amd.yml",
    "cpu": "serving/cpu/cluster.cpu.yml",
    "mixed": "serving/cluster.mixed.yml",
    "one-node": "k8s/overlays/one-node-k3s/ray-service.yaml",
}


def fleet_named(name: str) -> Fleet:
    return Fleet.model_validate(yaml.safe_load((ROOT / f"k8s/fleets/{name}.yaml").read_text()))


def plan_for(fleet: Fleet) -> Plan:
    sources = {model.source for model in fleet.models}
    facts = {each: of_known(each) or of_folder(each, ROOT / each) for each in sources}
    return make_plan(fleet, facts)


def written(name: str) -> str:
    """The file's text as it is made now."""
    fleet = fleet_named(name)
    command = f"anynode plan k8s/fleets/{name}.yaml -o {COMMITTED[name]}"
    return document(plan_for(fleet), fleet, ManifestSettings(f"anynode-{name}"), command)
