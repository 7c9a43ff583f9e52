"""KubeRay's own schema of a RayService, from the file of its CustomResourceDefinition."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from inference.check.closed_schema import close
from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT

VARIABLE = "ANYNODE_KUBERAY_CRD"
BESIDE = PACKAGES_ROOT.parent / "shared" / "kuberay" / "ray.io_rayservices.yaml"
VERSION = "v1"


def find_crd() -> Path | None:
    """The file, where the environment names one, or beside the project; None: it is not there.

    Raises ConfigError where the environment names a file that does not exist.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        return BESIDE if BESIDE.is_file() else None
    if not Path(named).is_file():
        raise ConfigError(f"{VARIABLE}: there is no file {named}; name KubeRay's CRD of RayService")
    return Path(named)


@cache
def validator(path: Path) -> Any:
    """A validator that refuses every key Kubernetes would drop; ConfigError for another file."""
    import jsonschema  # type: ignore[import-untyped]

    with path.open("rb") as file:
        crd = yaml.load(file, Loader=yaml.CSafeLoader)
    try:
        version = next(each for each in crd["spec"]["versions"] if each["name"] == VERSION)
        schema = version["schema"]["openAPIV3Schema"]
    except (KeyError, TypeError, StopIteration) as error:
        raise ConfigError(
            f"{path}: this is no CRD of RayService with a version {VERSION}; set {VARIABLE} to "
            "ray.io_rayservices.yaml of KubeRay 1.7"
        ) from error
    return jsonschema.Draft7Validator(close(schema))
