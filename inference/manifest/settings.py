"""What a manifest says beyond the plan; all of it can be given to `anynode plan`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.metadata import version

from serving.errors import ConfigError

REGISTRY = "registry.example"  # of nobody: to be filled in
LONGEST_NAME = 47  # KubeRay puts its own words behind a RayService's name


@dataclass(frozen=True, slots=True)
class ManifestSettings:
    """Raises ConfigError for a name that Kubernetes or KubeRay would not take."""

    name: str
    registry: str = REGISTRY

    def __post_init__(self) -> None:
        if len(self.name) > LONGEST_NAME or not re.fullmatch(
            r"[a-z]([a-z0-9-]*[a-z0-9])?", self.name
        ):
            raise ConfigError(
                f"name: '{self.name}' cannot name a RayService; take at most {LONGEST_NAME} small "
                "letters, digits and hyphens, a letter first",
                param="name",
            )

    def image(self, name: str) -> str:
        """The image as Kubernetes pulls it, of the same version as this code."""
        return f"{self.registry}/anynode-{name}:{version('anynode')}"
