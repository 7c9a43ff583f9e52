"""What every pod must have, and what only some."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from inference.manifest.names import MODELS_CLAIM, SERVE_PORT, USER_ID
from inference.manifest.pods import DRAIN_S, quantity
from inference.manifest.serve_config import GRACE_S
from tests.inference.manifest.committed import COMMITTED, ROOT

Pod = dict[str, Any]


def cluster(name: str) -> dict[str, Any]:
    service = yaml.safe_load((ROOT / COMMITTED[name]).read_text())
    found: dict[str, Any] = service["spec"]["rayClusterConfig"]
    return found


def worker_templates(name: str) -> list[dict[str, Any]]:
    return [group["template"] for group in cluster(name)["workerGroupSpecs"]]


def workers(name: str) -> list[Pod]:
    return [template["spec"] for template in worker_templates(name)]


def all_pods() -> list[Pod]:
    heads = [cluster(name)["headGroupSpec"]["template"]["spec"] for name in COMMITTED]
    return heads + all_workers()


def all_workers() -> list[Pod]:
    return [pod for name in COMMITTED for pod in workers(name)]


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each for each in pod["containers"][0]["env"]}


@pytest.mark.parametrize("pod", all_pods())
def test_nobody_is_root_and_nothing_but_volumes_is_written(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == USER_ID
    container = pod["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert {volume["name"] for volume in pod["volumes"]} == set(mounted)
    # Ray and HAProxy write below /tmp, libraries below the home folder.
    assert {"/tmp", "/dev/shm", variables(pod)["HOME"]["value"]} <= set(mounted.values())


@pytest.mark.parametrize("pod", all_pods())
def test_haproxy_runs_everywhere_and_its_port_is_named(pod: dict[str, Any]) -> None:
    assert variables(pod)["RAY_SERVE_ENABLE_HA_PROXY"]["value"] == "1"
    ports = {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]}
    assert ports["serve"] == SERVE_PORT
    assert {"metrics", "haproxy"} <= set(ports)
    assert len(set(ports.values())) == len(ports)


@pytest.mark.parametrize("pod", all_pods())
def test_secrets_are_only_referred_to(pod: dict[str, Any]) -> None:
    for name, variable in variables(pod).items():
        if "TOKEN" in name or "KEY" in name:
            assert "value" not in variable
            assert variable["valueFrom"]["secretKeyRef"]["optional"]


@pytest.mark.parametrize("pod", all_workers())
def test_workers_find_models_and_the_hub(pod: dict[str, Any]) -> None:
    claims = [each.get("persistentVolumeClaim", {}).get("claimName") for each in pod["volumes"]]
    assert MODELS_CLAIM in claims
    assert "HF_TOKEN" in variables(pod)
    assert variables(pod)["HF_HOME"]["value"].startswith("/models/")


@pytest.mark.parametrize("pod", all_workers())
def test_a_worker_that_goes_first_ends_its_answers(pod: dict[str, Any]) -> None:
    command = " ".join(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"])
    assert f"--deadline-remaining-seconds {DRAIN_S}" in command
    assert GRACE_S < DRAIN_S < pod["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("pod", all_workers())
def test_memory_is_all_asked_for_and_shared_memory_is_less(pod: dict[str, Any]) -> None:
    resources = pod["containers"][0]["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]
    shm = next(each["emptyDir"] for each in pod["volumes"] if each["name"] == "dshm")
    assert int(shm["sizeLimit"][:-2]) < int(resources["limits"]["memory"][:-2])


def test_pods_with_gpus_ask_for_them() -> None:
    for pod in workers("nvidia"):
        assert pod["runtimeClassName"] == "nvidia"
        assert pod["tolerations"][0]["key"] == "nvidia.com/gpu"
        asked = pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
        assert int(asked) <= int(pod["nodeSelector"]["nvidia.com/gpu.count"])
    for pod in workers("amd"):
        assert "runtimeClassName" not in pod
        assert "amd.com/gpu" in pod["containers"][0]["resources"]["limits"]


def test_pods_without_gpus_ask_for_none() -> None:
    for pod in workers("cpu"):
        assert set(pod["containers"][0]["resources"]["limits"]) == {"cpu", "memory"}


def test_each_pod_of_a_model_is_on_a_node_of_its_own() -> None:
    for template in worker_templates("cpu"):
        rule = template["spec"]["affinity"]["podAntiAffinity"]
        term = rule["requiredDuringSchedulingIgnoredDuringExecution"][0]
        labels = term["labelSelector"]["matchLabels"]
        assert labels.items() <= template["metadata"]["labels"].items()


@pytest.mark.parametrize(("num_bytes", "said"), [(2**30, "1Gi"), (2**30 + 1, "2Gi"), (1, "1Gi")])
def test_quantities_are_rounded_up(num_bytes: int, said: str) -> None:
    assert quantity(num_bytes) == said
