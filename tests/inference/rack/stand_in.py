"""The real builder's application, with an engine that needs neither weights nor GPUs.

What is asked of Ray (actors' resources, labels, placement groups, the deployment's name) is what
`typed_app_builder` makes of the manifest's arguments; only the class that runs is another.
"""

# No `from __future__ import annotations`, for Ray's sake: see inference/app.py.

from pathlib import Path
from unittest.mock import patch

import ray
from ray.serve import Application
from starlette.types import ASGIApp

from inference import app
from inference.args import ApplicationArgs
from serving.cpu.deployment import CPUSettings
from serving.engines.echo import EchoEngine
from serving.gpu.deployment import GPUSettings
from serving.http import ReplicaFace
from serving.serve_app import ServeApp, with_proxy
from serving.types import EngineSettings


def app_builder(args: ApplicationArgs) -> Application:
    """What the real builder makes of `args`, with `EchoReplica` in it."""
    with (
        patch.object(app, "CPUDeployment", EchoReplica),
        patch.object(app, "VLLMPredictDeployment", EchoReplica),
    ):
        return app.typed_app_builder(args)


class EchoReplica:
    """Answers with the prompt, by the HTTP face of every replica."""

    async def __init__(self, settings: CPUSettings | GPUSettings) -> None:  # type: ignore[misc]
        """Raises RuntimeError where Ray did not give it the GPUs that its model needs."""
        check_gpus(settings.num_gpus if isinstance(settings, GPUSettings) else 0)
        face = with_proxy(settings.face)
        self._engine = EchoEngine(
            EngineSettings(model_source=Path(), max_num_seqs=face.max_num_seqs, num_threads=1)
        )
        self._face = ReplicaFace(face, self._engine, "echo")
        await self._engine.load()
        self._face.ready()

    def __serve_build_asgi_app__(self) -> ASGIApp:
        return ServeApp(self._face.asgi_app(), self._engine.unload)

    async def check_health(self) -> None:
        await self._engine.check_health()


def check_gpus(wanted: int) -> None:
    given = ray.get_runtime_context().get_accelerator_ids()["GPU"]
    if len(given) != wanted:
        raise RuntimeError(f"Ray gave this replica the GPUs {given}, and its model needs {wanted}")
