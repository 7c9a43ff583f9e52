"""Two applications behind either proxy, started once for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.inference.running import Running, answering

PROXIES = ["haproxy", "python"]

# As the users of two kinds of CPU nodes write it: one application for each, under its own prefix.
TWO_APPLICATIONS: dict[str, Any] = {
    "proxy_location": "HeadOnly",
    "applications": [
        {
            "name": "demo-intel",
            "import_path": "inference:typed_app_builder",
            "route_prefix": "/cpu",
            "args": {
                "model_name": "models/anynode-demo",
                "data_type": "int8",
                "max_new_tokens": 16,
                "temperature": 1.0,
                "batch_timeout": 0.1,
                "batch_size": 2,
                "target_device": "INTEL",
                "engine": "onnx",  # which does all that the contract asks for
            },
            "deployments": [{"name": "CPUDeployment", "ray_actor_options": {"num_cpus": 1}}],
        },
        {
            "name": "echo-amd",
            "import_path": "inference.typed_app_builder",
            "route_prefix": "/acpu",
            "args": {
                "model_name": "echo",
                "target_device": "AMD",
                "engine": "echo",
                "engine_kwargs": {"tokens_per_s": 20},
            },
            "deployments": [{"name": "CPUDeployment", "ray_actor_options": {"num_cpus": 0.5}}],
        },
    ],
}


@pytest.fixture(scope="session")
def two_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two applications as a Serve config file."""
    path = tmp_path_factory.mktemp("config") / "two.yaml"
    path.write_text(yaml.safe_dump(TWO_APPLICATIONS))
    return path


@pytest.fixture(scope="session", params=PROXIES)
def two(
    request: pytest.FixtureRequest, two_config: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """Both applications, behind one proxy."""
    home = tmp_path_factory.mktemp("home")
    with answering(str(two_config), "--proxy", request.param, home=home) as server:
        yield server
