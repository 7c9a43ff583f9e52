"""What this replica offers to requests: its model's names, defaults, and the engine's abilities."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from serving.errors import ModelNotFound
from serving.http.capabilities import cannot, check_capabilities
from serving.http.protocol import GenerationBody
from serving.http.settings import FaceSettings


@dataclass(frozen=True, slots=True)
class Offer:
    """Checked against each request before any work is done for it."""

    settings: FaceSettings
    engine_name: str
    capabilities: Collection[str]

    def check(self, body: GenerationBody) -> None:
        """Raises ModelNotFound, or UnsupportedField for what the engine is not capable of."""
        self.check_model(body.model)
        check_capabilities(body, self.capabilities, self.engine_name)

    def check_model(self, name: str | None) -> None:
        """Raises ModelNotFound unless `name` is one of this model's; None means this model."""
        if name is not None and name not in self.settings.model_names:
            served = ", ".join(f"'{known}'" for known in self.settings.model_names)
            raise ModelNotFound(
                f"There is no model '{name}' here; served: {served}.", param="model"
            )

    def require(self, capability: str, field: str) -> None:
        """Raises UnsupportedField, naming `field`, when the engine lacks `capability`."""
        if capability not in self.capabilities:
            raise cannot(field, capability, self.engine_name)

    def temperature(self, route_default: float = 1.0) -> float:
        """The temperature of a request that names none."""
        deployed = self.settings.default_temperature
        return route_default if deployed is None else deployed
