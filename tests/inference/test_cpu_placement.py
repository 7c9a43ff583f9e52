"""inference.cpu_placement: what a replica on CPUs asks of Ray, in clusters that are only said."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from inference import cluster
from inference.args import ApplicationArgs
from inference.cluster import Asked
from inference.cpu_placement import actor_options
from serving.cpu.node_choice import Node, SocketCores
from serving.errors import ConfigError

NODES = [
    Node({"CPU": 8.0}, {}, "head"),
    Node({"CPU": 32.0, "amd_cpu": 1.0}, {"cpu-vendor": "AMD"}, "amd"),
]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the cluster is; a test changes it."""
    said: dict[str, Any] = {"nodes": NODES, "grows": False, "asked": [], "sockets": []}
    monkeypatch.setattr(cluster, "nodes", lambda: said["nodes"])
    monkeypatch.setattr(cluster, "grows", lambda: said["grows"])
    monkeypatch.setattr(cluster, "asked_for", lambda args, deployment: said["asked"])
    monkeypatch.setattr(cluster, "sockets_of", lambda nodes: said["sockets"])
    return said


def options(**args: Any) -> dict[str, Any]:
    return actor_options(ApplicationArgs(model_name="m", engine="echo", **args))


def refused(**args: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        options(**args)
    return caught.value


def test_threads_are_cpus_that_ray_reserves(here: dict[str, Any]) -> None:
    assert options() == {"num_cpus": 1}
    assert options(num_threads=4) == {"num_cpus": 4}
    assert options(label_selector={"cpu-vendor": "AMD"})["label_selector"] == {"cpu-vendor": "AMD"}


def test_more_than_any_node_has_is_refused(here: dict[str, Any]) -> None:
    assert "set num_cpus (or num_threads): 32 or less" in refused(num_threads=33).message


def test_a_cluster_that_grows_is_waited_for(
    here: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    here["grows"] = True
    assert options(num_threads=33) == {"num_cpus": 33}
    assert "needs 33 CPUs of one node" in caplog.text
    assert "waiting for one" in caplog.text


def test_outside_a_cluster_nothing_is_known(here: dict[str, Any]) -> None:
    here["nodes"] = None
    assert options(num_threads=999) == {"num_cpus": 999}


def test_what_the_config_asks_is_what_counts(here: dict[str, Any]) -> None:
    here["asked"] = [Asked({"num_cpus": 16, "resources": {"amd_cpu": 1}})]
    assert options(num_threads=33) == {"num_cpus": 33}  # which Serve replaces
    here["asked"] = [Asked({"resources": {"intel_cpu": 1}})]
    assert "the resource 'intel_cpu'" in refused().message
    here["asked"] = [Asked(None), Asked({"num_cpus": 64})]  # two applications with the same args
    assert "needs 64 CPUs" in refused().message


def test_replicas_beyond_the_room_are_told(
    here: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    here["asked"] = [Asked({"num_cpus": 16}, num_replicas=3)]
    with caplog.at_level(logging.WARNING):
        options()
    assert "3 replicas are asked for, and the nodes of this cluster hold 2" in caplog.text
    caplog.clear()
    here["asked"] = [Asked({"num_cpus": 0}, num_replicas=99)]
    options()
    assert caplog.text == ""


def test_a_selector_that_serve_would_drop_is_refused(here: dict[str, Any]) -> None:
    here["asked"] = [Asked({"num_cpus": 2})]
    error = refused(label_selector={"cpu-vendor": "AMD"})
    assert error.param == "label_selector"
    assert "repeat the selector in it" in error.message
    selector = {"label_selector": {"cpu-vendor": "AMD"}}
    here["asked"] = [Asked({"num_cpus": 2, **selector})]
    options(**selector)


def test_a_share_of_a_socket_becomes_cpus(here: dict[str, Any]) -> None:
    here["sockets"] = [SocketCores(32, (8, 8))]
    assert options(replicas_per_socket=2)["num_cpus"] == 8
    assert "8 cores of a socket / 3 replicas" in refused(replicas_per_socket=3).message


@pytest.mark.parametrize(
    "unknown", [{"grows": True}, {"nodes": None}, {"sockets": []}], ids=lambda each: str([*each])
)
def test_a_share_of_unknown_sockets_must_be_said(
    here: dict[str, Any], unknown: dict[str, Any]
) -> None:
    here["sockets"] = [SocketCores(32, (8, 8))]
    here.update(unknown)
    error = refused(replicas_per_socket=2)
    assert error.param == "replicas_per_socket"
    assert "its sockets x 2" in error.message
    assert options(replicas_per_socket=2, num_threads=4)["num_cpus"] == 4


def test_a_share_that_the_config_has_turned_into_cpus(here: dict[str, Any]) -> None:
    here["grows"] = True
    here["asked"] = [Asked({"num_cpus": 8})]
    options(replicas_per_socket=2)
