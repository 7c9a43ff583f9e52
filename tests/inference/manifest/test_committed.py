"""The committed manifests: made again to the byte, valid for KubeRay, Ray and our own arguments."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from inference.args import ApplicationArgs
from inference.check import crd, ray_schema
from inference.check.files import check_text
from inference.check.finding import errors
from inference.manifest.names import MODEL_LABEL
from inference.plan.fleet import GPU_KINDS
from tests.inference.manifest.committed import COMMITTED, ROOT, fleet_named, plan_for, written


@pytest.fixture(params=COMMITTED)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((ROOT / COMMITTED[name]).read_text())
    return manifest


@pytest.fixture
def serve(service: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    return config


def groups(service: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return found


def test_it_is_what_the_planner_writes(name: str) -> None:
    assert (ROOT / COMMITTED[name]).read_text() == written(name)


def test_kubernetes_would_drop_nothing_of_it(service: dict[str, Any]) -> None:
    path = crd.find_crd()
    assert path is not None, "KubeRay's CRD is missing: see ANYNODE_KUBERAY_CRD"
    errors = crd.validator(path).iter_errors(service)
    assert [f"{error.json_path}: {error.message}" for error in errors] == []


def test_anynode_check_finds_no_error(name: str) -> None:
    path = COMMITTED[name]
    assert errors(check_text((ROOT / path).read_text(), path)) == []


def test_ray_would_drop_nothing_of_its_serve_config(serve: dict[str, Any]) -> None:
    assert [error.message for error in ray_schema.validator().iter_errors(serve)] == []
    assert list(ray_schema.refusals(serve)) == []


def test_its_arguments_are_ours(serve: dict[str, Any]) -> None:
    for application in serve["applications"]:
        args = ApplicationArgs.model_validate(application["args"])
        deployment = application["deployments"][0]["name"]
        assert deployment == ("VLLMPredictDeployment" if args.uses_vllm else "CPUDeployment")
        assert args.notices() == []


def test_groups_have_room_for_exactly_the_replicas_planned(
    name: str, service: dict[str, Any], serve: dict[str, Any]
) -> None:
    plan = plan_for(fleet_named(name))
    for planned, application in zip(plan.models, serve["applications"], strict=True):
        mine = [each for each in groups(service) if each["labels"][MODEL_LABEL] == planned.name]
        cpus = sum(each["replicas"] * int(each["resources"]["CPU"]) for each in mine)
        gpus = sum(each["replicas"] * int(each["resources"].get("GPU", 0)) for each in mine)
        width = planned.tensor_parallel_size if planned.kind in GPU_KINDS else 0
        assert application["deployments"][0]["num_replicas"] == planned.num_replicas
        assert cpus == planned.num_replicas * planned.num_cpus
        assert gpus == planned.num_replicas * width
        assert application["args"]["label_selector"] == {MODEL_LABEL: planned.name}


def test_nothing_fits_only_in_part(name: str) -> None:
    assert plan_for(fleet_named(name)).refusals == ()


def test_the_seeds_routes_are_there() -> None:
    manifest = yaml.safe_load((ROOT / "serving/cpu/cluster.cpu.yml").read_text())
    applications = yaml.safe_load(manifest["spec"]["serveConfigV2"])["applications"]
    assert [each["route_prefix"] for each in applications] == ["/cpu", "/acpu"]
    vendors = {
        each["args"]["target_device"]: each["args"]["label_selector"] for each in applications
    }
    for group in groups(manifest):
        template = group["template"]["spec"]
        vendor = template["nodeSelector"]["feature.node.kubernetes.io/cpu-model.vendor_id"]
        assert vendors[vendor.upper()] == group["labels"]
