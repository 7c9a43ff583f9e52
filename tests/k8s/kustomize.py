"""What a kustomization of ours holds, without kubectl: resources and generated ConfigMaps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2] / "k8s"
KEYS = {
    "apiVersion",
    "kind",
    "namespace",
    "resources",
    "configMapGenerator",
    "generatorOptions",
    "patches",
}


def folders() -> list[Path]:
    """Every folder with a kustomization."""
    return sorted(path.parent for path in ROOT.rglob("kustomization.yaml"))


def kustomization(folder: Path) -> dict[str, Any]:
    """The file itself; only keys that are known here."""
    found: dict[str, Any] = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(found) <= KEYS, f"{folder}: the tests know nothing of {set(found) - KEYS}"
    return found


def resources(folder: Path) -> list[dict[str, Any]]:
    """All objects it names, patches aside."""
    found: list[dict[str, Any]] = []
    for name in kustomization(folder).get("resources", []):
        path = (folder / name).resolve()
        assert path.exists(), f"{folder}: there is no {name}"
        if path.is_dir():
            found += resources(path)
        else:
            found += [each for each in yaml.safe_load_all(path.read_text()) if each]
    return found
