"""inference.strict: keys that Ray's own schema drops in silence."""

from __future__ import annotations

from typing import Any

import pytest
from inference.strict import check_serve_config

from serving.errors import ConfigError


def config(**changes: Any) -> dict[str, Any]:
    application = {"name": "a", "import_path": "inference:typed_app_builder", "route_prefix": "/a"}
    return {"proxy_location": "HeadOnly", "applications": [application | changes]}


def deployment(**changes: Any) -> dict[str, Any]:
    return config(deployments=[{"name": "CPUDeployment", **changes}])


@pytest.mark.parametrize(
    "good",
    [
        config(),
        config(args={"anything": {"the": "builder checks"}}),
        deployment(num_replicas=2, max_ongoing_requests=4),
        deployment(ray_actor_options={"num_cpus": 4, "resources": {"amd_cpu": 1}}),
        deployment(autoscaling_config={"min_replicas": 1, "max_replicas": 2}, num_replicas="auto"),
    ],
)
def test_a_good_config_passes(good: dict[str, Any]) -> None:
    check_serve_config(good)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (
            {"aplications": []},
            "the config: there is no key 'aplications' (did you mean 'applications'?)",
        ),
        (
            config(route_prefx="/"),
            "applications.0: there is no key 'route_prefx' (did you mean 'route_prefix'?)",
        ),
        (
            deployment(num_replica=2),
            "applications.0.deployments.0: there is no key 'num_replica' "
            "(did you mean 'num_replicas'?)",
        ),
        (
            deployment(max_concurrent_queries=1),
            "applications.0.deployments.0: 'max_concurrent_queries' is called "
            "'max_ongoing_requests' now",
        ),
        (
            deployment(num_cpus=8),
            "applications.0.deployments.0: 'num_cpus' belongs under ray_actor_options",
        ),
        (
            deployment(ray_actor_options={"epyc": 1}),
            "applications.0.deployments.0.ray_actor_options: there is no key 'epyc'; "
            "a resource of your own belongs under resources",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_serve_config(bad)
    assert caught.value.message == sentence


@pytest.mark.parametrize(
    ("bad", "place"),
    [
        ([], "the config"),
        (config(args=[]), "applications.0.args"),
        (deployment(ray_actor_options=None), "applications.0.deployments.0.ray_actor_options"),
        (config() | {"proxy_location": "headonly"}, "proxy_location"),
    ],
)
def test_a_wrong_value_is_named(bad: Any, place: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_serve_config(bad)
    assert caught.value.message.startswith(f"{place}: ")
