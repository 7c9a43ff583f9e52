"""The RayService as a whole, its images, its node selectors and its text."""

from __future__ import annotations

import pytest
import yaml

from inference.check.crd import find_crd, validator
from inference.manifest.document import REASONS, document
from inference.manifest.images import head_image, image_of
from inference.manifest.node_selectors import node_selector
from inference.manifest.ray_service import ray_service
from inference.manifest.settings import REGISTRY, ManifestSettings
from inference.plan.fleet import Fleet, Gpus, Model, ModelStore, Node
from serving.errors import ConfigError
from tests.inference.manifest.committed import ROOT, fleet_named, plan_for
from tests.inference.manifest.plans import GIB, model_plan, plan_of

SETTINGS = ManifestSettings("rack")


def gpu_node(name: str, *gpus: Gpus) -> Node:
    return Node(name=name, cores=64, memory=256 * GIB, gpus=gpus)


def test_a_replica_over_nodes_is_asked_for_with_a_probe_of_its_own() -> None:
    gpus = Gpus(product="A100-SXM4-80GB", count=2)
    model = Model(name="big", source="o/m", across_nodes=True)
    fleet = Fleet(nodes=(gpu_node("a", gpus), gpu_node("b", gpus)), models=(model,))
    spots = [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    service = ray_service(plan_of(model_plan("big", "nvidia_gpu", [spots])), fleet, SETTINGS)
    crd = find_crd()
    assert crd is not None
    assert list(validator(crd).iter_errors(service)) == []
    probes = {
        group["groupName"]: group["template"]["spec"]["containers"][0].get("readinessProbe")
        for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    }
    assert probes["big-a"] is None
    assert probes["big-b"]["httpGet"]["port"] == 52365


def test_a_plan_without_replicas_is_no_manifest() -> None:
    with pytest.raises(ConfigError, match="nothing to deploy"):
        ray_service(plan_of(), Fleet(nodes=(gpu_node("a"),)), SETTINGS)


@pytest.mark.parametrize("name", ["Rack", "7racks", "a" * 48, "a-", ""])
def test_a_name_that_kuberay_refuses_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="RayService"):
        ManifestSettings(name)


def test_every_image_has_its_dockerfile() -> None:
    for kind, engine in [
        ("nvidia_gpu", "vllm"),
        ("amd_gpu", "vllm"),
        ("intel_cpu", "openvino"),
        ("amd_cpu", "onnx"),
    ]:
        assert (ROOT / f"docker/Dockerfile.{image_of('m', kind, engine)}").is_file()  # type: ignore[arg-type]


def test_an_engine_in_no_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"models\.m\.engine: 'llama_cpp'"):
        image_of("m", "amd_cpu", "llama_cpp")


def test_the_head_takes_a_small_image_if_a_model_has_one() -> None:
    gpu = model_plan("g", "nvidia_gpu", [[("a", 0)]])
    cpu = model_plan("c", "intel_cpu", [[("a", 0)]])
    assert head_image(plan_of(gpu, cpu)) == "intel"
    assert head_image(plan_of(gpu)) == "nvidia"


def test_labels_that_a_model_wants_are_asked_of_nodes() -> None:
    model = Model(name="m", source="o/m", labels={"rack": "7"})
    fleet = Fleet(nodes=(gpu_node("a"),), models=(model,))
    plan = plan_of(model_plan("m", "intel_cpu", [[("a", 0)]], precision="int8"))
    cluster = ray_service(plan, fleet, SETTINGS)["spec"]["rayClusterConfig"]
    selector = cluster["workerGroupSpecs"][0]["template"]["spec"]["nodeSelector"]
    assert selector["rack"] == "7"
    assert len(selector) == 2


def test_nodes_are_found_by_vendor_and_gpus() -> None:
    h100 = gpu_node("a", Gpus(product="H100-PCIe-80GB", count=4))
    mi300 = Node(name="b", vendor="AMD", cores=8, memory=GIB, gpus=(Gpus(product="MI300X"),))
    vendor = "feature.node.kubernetes.io/cpu-model.vendor_id"
    assert node_selector(h100, "nvidia_gpu") == {
        vendor: "Intel",
        "nvidia.com/gpu.product": "NVIDIA-H100-PCIe",
        "nvidia.com/gpu.count": "4",
    }
    assert node_selector(h100, "intel_cpu") == {vendor: "Intel"}
    assert node_selector(mi300, "amd_gpu") == {
        vendor: "AMD",
        "beta.amd.com/gpu.device-id.74a1": "1",
    }


@pytest.mark.parametrize(
    ("gpus", "reason"),
    [
        ((Gpus(product="MI999"),), "device id of 'MI999'"),
        ((Gpus(product="MI210"), Gpus(product="MI300X")), "several products"),
    ],
)
def test_gpus_that_no_label_names_are_refused(gpus: tuple[Gpus, ...], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        node_selector(gpu_node("a", *gpus), "amd_gpu")


def test_reasons_are_comments_beside_what_they_explain() -> None:
    fleet = fleet_named("mixed")
    plan = plan_for(fleet)
    text = document(plan, fleet, SETTINGS, "anynode plan mixed.yaml")
    assert yaml.safe_load(text) == ray_service(plan, fleet, SETTINGS)
    lines = [line.strip() for line in text.splitlines()]
    for path, reason in REASONS.items():
        last = reason.splitlines()[-1]
        assert lines[lines.index(f"# {last}") + 1].startswith(f"{path[-1]}:")
    assert lines[0] == "# Written by: anynode plan mixed.yaml"
    assert REGISTRY in lines[1]


def test_a_fleet_that_knows_its_nfs_server_brings_its_store() -> None:
    fleet = fleet_named("one-node").model_copy(update={"store": ModelStore(nfs_server="10.0.0.7")})
    text = document(plan_for(fleet), fleet, SETTINGS, "x")
    volume, claim, service = yaml.safe_load_all(text)
    assert volume["spec"]["nfs"] == {"server": "10.0.0.7", "path": "/models"}
    assert service["kind"] == "RayService"
    volume["spec"]["nfs"]["server"] = "nfs.example"
    del claim["metadata"]["namespace"]  # kustomize's to add
    for made, name in ((volume, "volume"), (claim, "claim")):
        assert made == yaml.safe_load((ROOT / f"k8s/storage/{name}.yaml").read_text())


def test_a_registry_that_is_given_is_filled_in() -> None:
    fleet = fleet_named("cpu")
    text = document(plan_for(fleet), fleet, ManifestSettings("rack", "hub.lab/ai"), "x")
    assert REGISTRY not in text
    assert "image: hub.lab/ai/anynode-intel:" in text
