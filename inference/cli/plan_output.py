"""`anynode plan -o CLUSTER.yml`: the plan as a file for `kubectl apply`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from inference.manifest.document import document
from inference.manifest.settings import ManifestSettings
from inference.plan.fleet import Fleet
from inference.plan.plan import Plan
from serving.errors import ConfigError


def write_manifest(path: Path, plan: Plan, fleet: Fleet, settings: ManifestSettings) -> None:
    """Write the file; raises ConfigError, and writes nothing, for a plan that leaves work out."""
    if plan.refusals:
        left_out = ", ".join(refusal.model for refusal in plan.refusals)
        raise ConfigError(
            f"{path} is not written: {left_out} found no place, or not for all that was asked; "
            "take one of the changes that the plan names",
            param="output",
        )
    command = shlex.join(["anynode", *sys.argv[1:]])
    try:
        path.write_text(document(plan, fleet, settings, command))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}; choose a file that can be written") from error
