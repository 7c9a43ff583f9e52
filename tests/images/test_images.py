"""The images for CPUs, really built, and answering: alone, and started as KubeRay starts them.

Takes minutes, so `make test-images` runs it and `make test` does not.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from tests.images.builder import ROOT, Builder, missing

ASKED_FOR = os.environ.get("ANYNODE_TEST_IMAGES") == "1"
REASON = missing() if ASKED_FOR else "takes minutes: make test-images"

pytestmark = [
    pytest.mark.skipif(REASON is not None, reason=REASON or ""),
    pytest.mark.timeout(1800),
]

START_S = 180
QUESTION = {
    "model": "anynode-demo",
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
}
MANIFEST = yaml.safe_load((ROOT / "k8s/overlays/one-node-k3s/ray-service.yaml").read_text())["spec"]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    made = Builder(tmp_path_factory.mktemp("images"))
    made.make_base()
    yield made
    made.remove_all()


@pytest.fixture(scope="module", params=["amd-cpu", "intel"])
def image(request: pytest.FixtureRequest, builder: Builder) -> str:
    return builder.build(request.param)


def ask(builder: Builder, container: str) -> str:
    """The model's answer, by the image's own wget."""
    answer = builder.podman(
        "exec", container, "wget", "--quiet", "--output-document=-",
        "--header=Content-Type: application/json", f"--post-data={json.dumps(QUESTION)}",
        "http://127.0.0.1:8000/v1/chat/completions",
    )  # fmt: skip
    content: str = json.loads(answer)["choices"][0]["message"]["content"]
    return content


def wait_until(builder: Builder, container: str, ready: Callable[[], Any]) -> None:
    """Return when `ready` no longer fails."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            ready()
        except AssertionError as error:
            logs = builder.podman("logs", container)
            assert time.monotonic() < deadline, f"{error}\n{logs[-4000:]}"
            time.sleep(1)
        else:
            return


def health_check(builder: Builder, image: str) -> list[str]:
    """The image's own."""
    kind, *command = json.loads(builder.podman("image", "inspect", image))[0]["Healthcheck"]["Test"]
    assert kind == "CMD"
    return command


def test_alone_it_answers_with_the_demo_model(builder: Builder, image: str) -> None:
    check = health_check(builder, image)
    with builder.running(image) as container:
        wait_until(builder, container, lambda: builder.podman("exec", container, *check))
        assert "Paris" in ask(builder, container)
        assert builder.podman("exec", container, "id", "--user") == "10001"
        began = time.monotonic()
        builder.podman("stop", "--time=60", container)
        assert time.monotonic() - began < 30  # by SIGTERM, not by SIGKILL


def test_our_package_is_the_one_imported(builder: Builder, image: str) -> None:
    program = "import inference; print(inference.__file__)"
    with builder.running(image, "sleep", "60") as container:
        found = builder.podman("exec", container, "python", "-c", program)
        assert found == "/opt/anynode/inference/__init__.py"
        assert builder.podman("exec", container, "anynode", "version")[0].isdigit()


OPERATORS = """
from onnxruntime import SessionOptions
from serving.kernels.library import LIBRARY
SessionOptions().register_custom_ops_library(str(LIBRARY))
print(LIBRARY.parent)
"""


def test_our_operators_are_in_it_and_their_compiler_is_not(builder: Builder, image: str) -> None:
    with builder.running(image, "sleep", "60") as container:
        found = builder.podman("exec", container, "python", "-c", OPERATORS)
        assert found == "/opt/anynode/serving/kernels"
        builder.podman("exec", container, "bash", "-c", "! command -v gcc")


def head_command() -> str:
    """What KubeRay would start the only node of a cluster with, by its own generator's rules."""
    group = MANIFEST["rayClusterConfig"]["workerGroupSpecs"][0]
    labels = ",".join(f"{key}={value}" for key, value in group["labels"].items())
    params = {
        **MANIFEST["rayClusterConfig"]["headGroupSpec"]["rayStartParams"],
        "num-cpus": group["resources"]["CPU"],
        "labels": labels,
        "metrics-export-port": "8080",
        "dashboard-agent-listen-port": "52365",
        "node-ip-address": "127.0.0.1",  # there is no network but this
    }
    words = " ".join(f"--{key}={value}" for key, value in params.items())
    return f"ulimit -n ${{RAY_START_ULIMIT_OPEN_FILES:-65536}}; ray start --head --block {words}"


def kuberay_options() -> list[str]:
    """The variables of the manifest's container, and those that the operator adds."""
    container = MANIFEST["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"][
        "containers"
    ]
    plain = {each["name"]: each["value"] for each in container[0]["env"] if "value" in each}
    added = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 32}
    return [f"--env={name}={value}" for name, value in {**plain, **added}.items()]


# What KubeRay asks a RayService's worker for, again and again.
READINESS = (
    "wget --tries 1 -T 2 -q -O- http://localhost:52365/api/local_raylet_healthz | grep success && "
    "wget --tries 1 -T 10 -q -O- http://localhost:8000/-/healthz | grep success"
)


def test_started_as_kuberay_does_it_takes_the_manifests_config(
    builder: Builder, image: str
) -> None:
    options = ["--entrypoint=/bin/bash", *kuberay_options()]
    with builder.running(image, "-c", "--", head_command(), options=options) as container:
        dashboard = "wget -q -O- http://localhost:8265/api/gcs_healthz"
        wait_until(
            builder, container, lambda: builder.podman("exec", container, "bash", "-c", dashboard)
        )
        builder.podman(
            "exec", "--interactive", container, "bash", "-c",
            "cat > /tmp/serve.yaml && serve deploy /tmp/serve.yaml -a http://127.0.0.1:8265",
            given=MANIFEST["serveConfigV2"],
        )  # fmt: skip
        wait_until(
            builder, container, lambda: builder.podman("exec", container, "bash", "-c", READINESS)
        )
        wait_until(builder, container, lambda: ask(builder, container))
        assert "Paris" in ask(builder, container)
