"""Which Python an engine's replicas run in on this machine: ours, or one in an environment of its
own, because the libraries of several engines cannot be installed together.

`make NAME` installs what requirements/NAME.txt names into `.cache/NAME`. In images, which hold one
engine each, the library is where everything else is and nothing here has an effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inference.args import VLLM, ApplicationArgs
from serving.cpu.auto_engine import AUTO, LIBRARIES, choose_engine, is_installed
from serving.cpu.processor import this_processor
from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT, find_folder

CACHE = PACKAGES_ROOT / ".cache"


@dataclass(frozen=True, slots=True)
class EngineEnvironment:
    """Where an engine's library is found."""

    module: str  # the library, as Python imports it
    name: str  # of the environment

    @property
    def is_ours(self) -> bool:
        """Whether the library is beside everything else."""
        return find_spec(self.module) is not None

    @property
    def python(self) -> Path:
        return CACHE / self.name / "bin" / "python"

    @property
    def is_made(self) -> bool:
        return (CACHE / self.name / "installed.txt").is_file()


ENVIRONMENTS = {
    VLLM: EngineEnvironment("vllm", "vllm"),
    **{
        engine: EngineEnvironment(LIBRARIES[engine], engine.replace("_", "-"))
        for engine in ("transformers", "optimum", "llama_cpp", "ipex_llm")
    },
}


def engine_of(args: ApplicationArgs) -> str | None:
    """The engine whose environment counts; vLLM on GPUs is installed by whoever has some."""
    if args.uses_vllm:
        return VLLM if args.vllm_on_cpu else None
    folder = find_folder(args.model_name)
    if args.engine != AUTO or folder is None:
        return args.engine
    return choose_engine(folder, this_processor(), args.batch_size, usable=is_here).engine


def is_here(engine: str) -> bool:
    """Whether some environment of this machine has the engine's library."""
    environment = ENVIRONMENTS.get(engine)
    return is_installed(engine) or (environment is not None and environment.is_made)


def check_environment(args: ApplicationArgs) -> None:
    """Raise ConfigError where the engine's library is nowhere, with the command that gets it."""
    engine = engine_of(args)
    environment = ENVIRONMENTS.get(engine or "")
    if environment is not None and not environment.is_ours and not environment.is_made:
        raise ConfigError(
            f"engine: '{engine}' needs the Python module '{environment.module}', which is not "
            f"installed here; run `make {environment.name}`, which gives it an environment of its "
            "own",
            param="engine",
        )


def with_environment(application: dict[str, Any]) -> dict[str, Any]:
    """The application of a Serve config, its replicas in their engine's environment if need be."""
    args = ApplicationArgs.model_validate(application.get("args") or {})
    environment = ENVIRONMENTS.get(engine_of(args) or "")
    if environment is None or environment.is_ours or not environment.is_made:
        return application
    name = "VLLMPredictDeployment" if args.uses_vllm else "CPUDeployment"
    deployments = {each.get("name"): each for each in application.get("deployments") or []}
    deployment = deployments.get(name, {"name": name})
    options = deployment.get("ray_actor_options") or {}
    runtime = {"py_executable": str(environment.python), **(options.get("runtime_env") or {})}
    deployments[name] = {**deployment, "ray_actor_options": {**options, "runtime_env": runtime}}
    return {**application, "deployments": list(deployments.values())}
