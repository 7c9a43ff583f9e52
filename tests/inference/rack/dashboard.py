"""Ray's dashboard as KubeRay's operator uses it: one PUT, then looks at what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from tests.inference.rack.manifest import Placement

GROUP = "ray.io/node-group"  # Ray's own label of a node, from what KubeRay tells each pod


class Dashboard:
    """One cluster's; `token` is the cluster's."""

    def __init__(self, url: str, token: str) -> None:
        self._client = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )

    def close(self) -> None:
        self._client.close()

    def deploy(self, config: Mapping[str, Any]) -> None:
        """The call that a RayService's serveConfigV2 ends in."""
        answer = self._client.put("/api/serve/applications/", json=config)
        assert answer.status_code == 200, answer.text

    def applications(self) -> dict[str, Any]:
        """What Serve says of each application."""
        answer = self._client.get("/api/serve/applications/").raise_for_status().json()
        found: dict[str, Any] = answer["applications"]
        return found

    def replicas(self) -> list[dict[str, Any]]:
        """Those of all applications that run, with their application's name."""
        return [
            {**replica, "application": name}
            for name, application in self.applications().items()
            for deployment in application["deployments"].values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        ]

    def nodes(self) -> dict[str, str]:
        """The living nodes' groups by their ids."""
        answer = self._client.get("/api/v0/nodes?detail=1").raise_for_status().json()
        found = answer["data"]["result"]["result"]
        return {
            each["node_id"]: each["labels"][GROUP] for each in found if each["state"] == "ALIVE"
        }

    def placement(self) -> Placement:
        """On which nodes replicas run."""
        groups = self.nodes()
        return Counter(
            (each["application"], groups.get(each["node_id"], "no living node"))
            for each in self.replicas()
        )

    def resources(self) -> dict[str, list[dict[str, float]]]:
        """What Ray gave each replica of each application."""
        answer = self._client.get("/api/v0/actors?detail=1").raise_for_status().json()
        given = {
            each["actor_id"]: each["required_resources"]
            for each in answer["data"]["result"]["result"]
        }
        found: dict[str, list[dict[str, float]]] = {}
        for replica in self.replicas():
            found.setdefault(replica["application"], []).append(given[replica["actor_id"]])
        return found

    def all_run(self) -> bool:
        """Whether Serve says so of every application; AssertionError where one has failed."""
        applications = self.applications()
        for name, application in applications.items():
            assert application["status"] != "DEPLOY_FAILED", (name, application)
        return bool(applications) and all(
            each["status"] == "RUNNING" for each in applications.values()
        )
