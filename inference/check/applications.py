"""The applications of a Serve config, as our builders would see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from inference.args import ALIASES, ApplicationArgs
from inference.check.document import Document, Path
from inference.check.look import mapping, sequence
from inference.check.secrets import is_placeholder
from inference.cpu_placement import DEPLOYMENT as CPU_DEPLOYMENT
from inference.names import OUR_BUILDERS

GPU_DEPLOYMENT = "VLLMPredictDeployment"


@dataclass(frozen=True, slots=True)
class Application:
    """One application of a Serve config."""

    path: Path
    config: Mapping[str, Any]
    args: ApplicationArgs | None  # None: another's builder, or arguments that ours refuses

    @property
    def name(self) -> str:
        """Serve's name of it."""
        return str(self.config.get("name", "default"))

    @property
    def is_ours(self) -> bool:
        """Whether our builder makes it."""
        return self.config.get("import_path") in OUR_BUILDERS

    @property
    def deployment_name(self) -> str | None:
        """What our builder calls its one deployment; None where it makes none."""
        if self.args is None:
            return None
        return GPU_DEPLOYMENT if self.args.uses_vllm else CPU_DEPLOYMENT

    def deployments(self) -> Iterator[tuple[Path, Mapping[str, Any]]]:
        """What the config says of each deployment, and where."""
        for index, each in enumerate(sequence(self.config.get("deployments"))):
            yield (*self.path, "deployments", index), mapping(each)


def applications(document: Document) -> list[Application]:
    """Every application of a Serve config."""
    found = []
    for index, each in enumerate(sequence(mapping(document.data).get("applications"))):
        config = mapping(each)
        ours = config.get("import_path") in OUR_BUILDERS
        found.append(Application(("applications", index), config, _args(config) if ours else None))
    return found


def _args(config: Mapping[str, Any]) -> ApplicationArgs | None:
    """The arguments, those left out that are faults of their own."""
    given = {
        key: value
        for key, value in mapping(config.get("args")).items()
        if key in ApplicationArgs.model_fields or key in ALIASES
    }
    if is_placeholder(given.get("hf_token")):
        del given["hf_token"]
    try:
        return ApplicationArgs.model_validate(given)
    except ValidationError:
        return None
