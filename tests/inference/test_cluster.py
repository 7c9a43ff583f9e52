"""inference.cluster: what is asked of Ray, without one; test_mixed_cluster has a real one."""

from __future__ import annotations

from typing import Any

import pytest
import ray
from ray._private.state import state

from inference import cluster
from serving.errors import ConfigError


def test_outside_a_cluster_there_are_no_nodes() -> None:
    assert not ray.is_initialized()
    assert cluster.nodes() is None
    assert cluster.gpus_of_nodes() is None


@pytest.mark.parametrize(
    ("most", "age_s", "address", "grows"),
    [
        ({"CPU": 99}, 9999, "10.0.0.1", True),  # an autoscaler says how far it may go
        (None, 9999, "10.0.0.1", False),
        (None, 5, "10.0.0.1", True),  # its other nodes may still be starting
        (None, 5, "a-name", True),
        (None, 5, "127.0.0.1", False),  # nobody can join
    ],
)
def test_nodes_may_still_come(
    monkeypatch: pytest.MonkeyPatch, most: Any, age_s: float, address: str, grows: bool
) -> None:
    monkeypatch.setattr(state, "get_max_resources_from_cluster_config", lambda: most)
    monkeypatch.setattr(cluster, "_age_s", lambda: age_s)
    monkeypatch.setattr(ray, "nodes", lambda: [{"NodeManagerAddress": address}])
    assert cluster.grows() is grows


def test_what_is_missing_is_refused_or_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cluster, "grows", lambda: False)
    with pytest.raises(ConfigError, match="no such node"):
        cluster.wait_or_raise(ConfigError("no such node"))
    monkeypatch.setattr(cluster, "grows", lambda: True)
    cluster.wait_or_raise(ConfigError("no such node"))
    assert "no such node. A node that joins" in caplog.text
