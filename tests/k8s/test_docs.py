"""docs/kubernetes.md names files, Secrets and images that exist."""

from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from inference.manifest import names
from inference.manifest.images import CPU_IMAGES, GPU_IMAGES
from tests.inference.manifest.committed import COMMITTED, ROOT

PAGE = (ROOT / "docs/kubernetes.md").read_text()


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"\b(?:k8s|docker|serving)/[\w./*$-]+", PAGE))
    assert len(named) > 15
    for name in named - {"docker/Dockerfile.$image"}:
        assert list(ROOT.glob(name.rstrip("/."))), name


@pytest.mark.parametrize("secret", [names.HF_TOKEN, names.API_KEYS, names.REDIS_PASSWORD])
def test_it_makes_every_secret_that_manifests_refer_to(secret: names.SecretKey) -> None:
    made = f"create secret generic {secret.secret} --namespace {names.NAMESPACE}"
    assert f"{made} --from-literal={secret.key}=" in PAGE


def test_it_names_every_image_and_every_committed_manifest() -> None:
    for image in {*GPU_IMAGES.values(), *CPU_IMAGES.values()}:
        assert f"| `anynode-{image}` |" in PAGE
    assert f"anynode-amd-cpu:{version('anynode')}" in PAGE
    for path in COMMITTED.values():
        assert path in PAGE or path.startswith("k8s/overlays/one-node-k3s/")
