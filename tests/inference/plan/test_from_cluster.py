"""A cluster's nodes, by the real client from a real HTTP server that answers as the API does."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.plan.cluster_nodes import fleet_nodes, quantity
from inference.plan.fleet import Fleet
from inference.plan.from_cluster import find_nodes
from inference.plan.load import check_fleet
from serving.errors import ConfigError
from tests.inference.bench.fake_http import Answer, routes, serving

NFD = "feature.node.kubernetes.io"
NVIDIA = {
    "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
    "nvidia.com/gpu.memory": "81920",
    "nvidia.com/gpu.count": "8",
}
AMD = {"amd.com/gpu.product-name": "AMD_Instinct_MI300X_OAM", "amd.com/gpu.vram": "192G"}


def node(name: str, age: int = 1, vendor: str | None = "Intel", **more: Any) -> dict[str, Any]:
    labels = {
        "kubernetes.io/hostname": name,
        f"{NFD}/memory-numa": "true",
        f"{NFD}/cpu-hardware_multithreading": "true",
        "zone": "a",
        **({f"{NFD}/cpu-model.vendor_id": vendor} if vendor else {}),
        **more.get("labels", {}),
    }
    allocatable = {"cpu": "159500m", "memory": "263852052Ki", "pods": "110", **more.get("has", {})}
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-11-{age:02}T00:00:00Z",
            "labels": labels,
        },
        "spec": more.get("spec", {}),
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [{"type": "Ready", "status": more.get("ready", "True")}],
        },
    }


def test_quantities_are_kubernetes() -> None:
    found = [quantity(text) for text in ("160", "1500m", "2Ki", "300G", "1Gi", "4k")]
    assert found == [160, 1.5, 2048, 300e9, 2**30, 4000]


def test_a_node_says_what_pods_may_have_of_it() -> None:
    (found,) = fleet_nodes([node("gpu", labels=NVIDIA, has={"nvidia.com/gpu": "8"})])
    assert found == {
        "name": "gpu",
        "vendor": "INTEL",
        "cores": 159,
        "sockets": 2,
        "threads_per_core": 2,
        "memory": 263852052 * 1024,
        "gpus": [
            {
                "product": "NVIDIA-A100-SXM4-80GB",
                "vendor": "NVIDIA",
                "memory": 81920 * 2**20,
                "count": 8,
            }
        ],
        "labels": {
            "zone": "a",
            "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB",
            f"{NFD}/cpu-model.vendor_id": "Intel",
        },
        "head": True,
    }


def test_shared_gpus_are_counted_once_and_amd_s_are_known() -> None:
    shared = NVIDIA | {
        "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB-SHARED",
        "nvidia.com/gpu.replicas": "4",
    }
    first, second = fleet_nodes(
        [
            node("a", labels=shared, has={"nvidia.com/gpu": "8"}),
            node("b", 2, "AMD", labels=AMD, has={"amd.com/gpu": "8"}),
        ]
    )
    assert first["gpus"][0]["count"] == 2
    assert first["gpus"][0]["product"] == "NVIDIA-A100-SXM4-80GB"
    assert second["vendor"] == "AMD"
    assert second["gpus"] == [{"product": "AMD_Instinct_MI300X_OAM", "vendor": "AMD", "count": 8}]


def test_nodes_that_take_no_pods_are_left_out_and_new_ones_come_last() -> None:
    role = {"node-role.kubernetes.io/control-plane": "true"}
    listed = [
        node("new", 9),
        node("old", 3),
        node("server", 5, labels=role),
        node("away", 1, ready="False"),
        node("closed", 1, spec={"unschedulable": True}),
        node("tainted", 1, spec={"taints": [{"key": "own", "effect": "NoSchedule"}]}),
        node("gpus", 4, spec={"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]}),
    ]
    found = fleet_nodes(listed)
    assert [each["name"] for each in found] == ["old", "gpus", "server", "new"]
    assert [each["name"] for each in found if each.get("head")] == ["server"]
    assert len(check_fleet({"nodes": found}, "cluster").nodes) == 4


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ([], "no node of this cluster is ready"),
        ([node("a", vendor=None)], "node a has no label .*install Node Feature Discovery"),
        ([node("a", vendor="VIA")], "it says VIA"),
        ([node("a", has={"nvidia.com/gpu": "1"})], "no label nvidia.com/gpu.product; install GPU"),
        ([node("a", has={"amd.com/gpu": "1"})], "no label amd.com/gpu.product-name"),
    ],
)
def test_what_is_missing_is_named(listed: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fleet_nodes(listed)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`cluster(url)` is the one that the kubeconfig names."""

    def configure(url: str) -> None:
        named = {"name": "it"}
        path = tmp_path / "config"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "it",
                    "clusters": [{**named, "cluster": {"server": url}}],
                    "users": [{**named, "user": {"token": "secret"}}],
                    "contexts": [{**named, "context": {"cluster": "it", "user": "it"}}],
                }
            )
        )
        monkeypatch.setenv("KUBECONFIG", str(path))
        monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(path))

    return configure


def api(*nodes: dict[str, Any]) -> Answer:
    listed = {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": list(nodes)}
    return routes({"/api/v1/nodes": listed})


def test_a_cluster_is_asked_by_its_own_client(cluster: Any) -> None:
    nodes = [node("a"), node("b", 2, "AMD", labels=AMD, has={"amd.com/gpu": "4"})]
    with serving(api(*nodes)) as server:
        cluster(server.url)
        fleet = Fleet.model_validate({"nodes": find_nodes()})
    assert [asked.path for asked in server.asked] == ["/api/v1/nodes"]
    assert server.asked[0].headers["authorization"] == "Bearer secret"
    assert [each.name for each in fleet.nodes] == ["a", "b"]
    assert fleet.nodes[1].gpus[0].count == 4


def test_a_cluster_that_refuses_is_explained(cluster: Any) -> None:
    with serving(lambda _: (403, {"kind": "Status", "code": 403})) as server:
        cluster(server.url)
        with pytest.raises(ConfigError, match=r"refused to list its nodes \(403"):
            find_nodes()


def test_a_machine_without_a_cluster_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = str(tmp_path / "none")
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", nowhere)
    monkeypatch.setenv("KUBECONFIG", nowhere)
    with pytest.raises(ConfigError, match=r"no cluster is configured .*KUBECONFIG"):
        find_nodes()
