"""k8s/: every object is valid, names are those that manifests use, nothing secret is in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from inference.check.crd import find_crd, validator
from inference.manifest import names
from inference.manifest.pods import HEAD_PORTS, METRICS_PORTS
from inference.manifest.settings import ManifestSettings
from tests.inference.manifest.committed import COMMITTED
from tests.k8s.kustomize import ROOT, folders, kustomization, resources

KUBERNETES = "1.33"
CUSTOM = {"PodMonitor", "PrometheusRule"}  # the Prometheus operator's; its schema is not here


@pytest.fixture(params=folders(), ids=lambda path: str(path.relative_to(ROOT)))
def folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def of_kind(folder: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in resources(ROOT / folder) if each["kind"] == kind]


def test_every_object_is_valid(folder: Path) -> None:
    for each in resources(folder):
        if each["kind"] == "RayService":
            crd = find_crd()
            assert crd is not None, "KubeRay's CRD is missing: see ANYNODE_KUBERAY_CRD"
            assert list(validator(crd).iter_errors(each)) == []
        elif each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, KUBERNETES, strict=True)


def test_a_wrong_object_would_be_found() -> None:
    wrong = of_kind("redis", "Service")[0]
    wrong["spec"]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, KUBERNETES, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kubectl_builds_the_same(folder: Path) -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", folder], capture_output=True, text=True, check=True
    )
    objects = [each for each in yaml.safe_load_all(built.stdout) if each]
    ours = {(each["kind"], each["metadata"]["name"]) for each in resources(folder)}
    generated = {
        ("ConfigMap", each["name"]) for each in kustomization(folder).get("configMapGenerator", [])
    }
    assert {(each["kind"], each["metadata"]["name"]) for each in objects} == ours | generated
    for each in objects:
        if each["kind"] not in {"Namespace", "PersistentVolume"}:
            assert each["metadata"]["namespace"] == names.NAMESPACE


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_the_overlay_asks_for_no_labels_of_nodes() -> None:
    built = subprocess.run(
        ["kubectl", "kustomize", ROOT / "overlays/one-node-k3s"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nodeSelector" not in built.stdout
    assert "anynode-demo" in built.stdout


def test_names_are_those_of_the_manifests() -> None:
    claims = of_kind("storage", "PersistentVolumeClaim") + of_kind(
        "overlays/one-node-k3s", "PersistentVolumeClaim"
    )
    assert {each["metadata"]["name"] for each in claims} == {names.MODELS_CLAIM}
    volume = of_kind("storage", "PersistentVolume")[0]["metadata"]["name"]
    assert claims[0]["spec"]["volumeName"] == volume
    service = of_kind("redis", "Service")[0]
    address = f"redis://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert address == names.REDIS_ADDRESS
    assert of_kind("namespace", "Namespace")[0]["metadata"]["name"] == names.NAMESPACE


def test_the_ingress_reaches_the_service_that_kuberay_makes() -> None:
    ingress = of_kind("overlays/one-node-k3s", "Ingress")[0]
    service = of_kind("overlays/one-node-k3s", "RayService")[0]
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert backend == {
        "name": f"{service['metadata']['name']}-serve-svc",
        "port": {"name": names.SERVE_PORT_NAME},
    }


def test_redis_is_not_root_and_keeps_what_it_is_told() -> None:
    pod = of_kind("redis", "StatefulSet")[0]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert "--appendonly" in container["args"]
    for variable in container["env"]:
        wanted = {"name": names.REDIS_PASSWORD.secret, "key": names.REDIS_PASSWORD.key}
        assert variable["valueFrom"]["secretKeyRef"] == wanted


def test_no_secret_is_committed() -> None:
    for folder in folders():
        assert [each for each in resources(folder) if each["kind"] == "Secret"] == []


def test_from_outside_only_serve_is_open() -> None:
    policy = of_kind("network-policy", "NetworkPolicy")[0]["spec"]
    assert policy["podSelector"]["matchLabels"] == names.POD_LABELS
    to_all = [rule for rule in policy["ingress"] if "from" not in rule]
    assert to_all == [{"ports": [{"port": names.SERVE_PORT}]}]
    opened = {
        port["port"]
        for rule in policy["ingress"]
        if "namespaceSelector" in rule.get("from", [{}])[0]
        for port in rule["ports"]
    }
    assert set(METRICS_PORTS.values()) <= opened
    assert opened & set(HEAD_PORTS.values()) == {HEAD_PORTS["dashboard"]}  # to the operator


def test_values_are_for_k3s() -> None:
    for path in (ROOT / "values").glob("*.yaml"):
        assert isinstance(yaml.safe_load(path.read_text()), dict)
        assert "rke2" not in path.read_text()
    operator = yaml.safe_load((ROOT / "values/kuberay-operator.yaml").read_text())
    assert operator["watchNamespace"] == [names.NAMESPACE]


def test_each_fleet_has_its_manifest() -> None:
    fleets = {path.stem for path in (ROOT / "fleets").glob("*.yaml")}
    assert fleets == set(COMMITTED)
    for name in fleets:
        assert ManifestSettings(f"anynode-{name}").name


def test_the_dashboard_is_whole() -> None:
    dashboard = json.loads((ROOT / "monitoring/dashboard.json").read_text())
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["targets"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
