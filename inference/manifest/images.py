"""Which image a model's replicas run in: `docker/Dockerfile.NAME` makes the image NAME."""

from __future__ import annotations

from inference.app import CPU_ENGINES
from inference.args import TargetDevice
from inference.plan.fleet import DeviceKind
from inference.plan.plan import Plan
from serving.errors import ConfigError

GPU_IMAGES: dict[DeviceKind, str] = {"nvidia_gpu": "nvidia", "amd_gpu": "amd"}
CPU_IMAGES = {
    CPU_ENGINES[TargetDevice.AMD]: "amd-cpu",
    CPU_ENGINES[TargetDevice.INTEL]: "intel",
    "ipex_llm": "intel-ipex",
}


def image_of(model: str, kind: DeviceKind, engine: str) -> str:
    """The image's name; raises ConfigError for an engine that is in none of ours."""
    if kind in GPU_IMAGES:
        return GPU_IMAGES[kind]
    if engine not in CPU_IMAGES:
        raise ConfigError(
            f"models.{model}.engine: '{engine}' is in none of the images for CPUs; choose one of "
            f"{', '.join(sorted(CPU_IMAGES))}",
            param="engine",
        )
    return CPU_IMAGES[engine]


def head_image(plan: Plan) -> str:
    """That of one of the models, so that no other is to be built; for CPUs where there is one."""
    images = [image_of(each.name, each.kind, each.engine) for each in plan.models]
    return min(images, key=lambda image: image in GPU_IMAGES.values())
