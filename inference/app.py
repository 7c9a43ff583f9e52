"""The application builder: one model's arguments in, one Serve application out.

Serve calls `typed_app_builder` on whichever node builds the application, which may hold neither
the weights nor an engine: nothing here touches them.
"""

# No `from __future__ import annotations` here: Ray reads the builder's raw annotation, and a
# string instead of the class would make it hand over an unchecked dict.

import logging
from typing import TYPE_CHECKING, Any

from inference.args import ApplicationArgs, TargetDevice
from serving.cpu.deployment import CPUDeployment, CPUSettings
from serving.engine import ENGINES, nearest
from serving.errors import ConfigError
from serving.http import FaceSettings
from serving.model_source import is_hub_id

if TYPE_CHECKING:
    from ray.serve import Application

logger = logging.getLogger(__name__)

# OpenVINO will take INTEL's place when it is here.
CPU_ENGINES = {TargetDevice.AMD: "onnx", TargetDevice.INTEL: "onnx"}

# Requests that are answered at once (health, metrics, refusals) beside those running or queued.
SPARE_REQUESTS = 64


def typed_app_builder(args: ApplicationArgs) -> "Application":
    """The Serve application that `args` describe; raises ConfigError where they cannot work."""
    from ray import serve

    settings = cpu_settings(args)
    for notice in args.notices():
        logger.warning(notice)
    logger.info("engine %s for %s: %s", settings.engine, settings.model_name, engine_reason(args))
    deployment = serve.deployment(
        name="CPUDeployment",
        max_ongoing_requests=settings.max_requests + SPARE_REQUESTS,
        ray_actor_options={"num_cpus": args.num_threads or 1},
    )
    return deployment(serve.ingress()(CPUDeployment)).bind(settings)


def cpu_settings(args: ApplicationArgs) -> CPUSettings:
    """What the CPU deployment is told; raises ConfigError where the arguments do not fit it."""
    _refuse_gpu(args)
    return CPUSettings(
        model_name=args.model_name,
        engine=choose_engine(args),
        num_threads=args.num_threads,
        hf_token=None if args.hf_token is None else args.hf_token.get_secret_value(),
        face=FaceSettings(
            model_id=args.served_model_name or default_name(args.model_name),
            max_num_seqs=args.batch_size,
            loopback_only=args.loopback_only,
            **_given(
                max_queued_requests=args.max_queued_requests,
                request_timeout_s=args.request_timeout_s,
                default_max_tokens=args.max_new_tokens,
                default_temperature=args.temperature,
            ),
        ),
        engine_settings=_given(
            data_type=args.data_type,
            max_model_len=args.max_model_len,
            kv_cache_bytes=args.kv_cache_bytes,
            trust_remote_code=args.trust_remote_code,
            engine_kwargs=args.engine_kwargs,
        ),
    )


def _given(**settings: Any) -> dict[str, Any]:
    """Those that were said; the rest keep the defaults of whoever they belong to."""
    return {name: value for name, value in settings.items() if value is not None}


def choose_engine(args: ApplicationArgs) -> str:
    """The engine named in `args`, or the one their target device calls for."""
    if args.engine is None:
        assert args.target_device is not None  # _refuse_gpu saw to it
        return CPU_ENGINES[args.target_device]
    if args.engine not in ENGINES and ":" not in args.engine:
        hint = nearest(args.engine, list(ENGINES))
        raise ConfigError(
            f"engine: there is no '{args.engine}'{hint}; known are {', '.join(sorted(ENGINES))}, "
            "or name your own as package.module:Class",
            param="engine",
        )
    return args.engine


def engine_reason(args: ApplicationArgs) -> str:
    """Why the engine is the one it is, for the log."""
    return "named in args" if args.engine else f"target_device is {args.target_device}"


def default_name(model_name: str) -> str:
    """What callers say when nobody chose a name: a hub id as it is, else the folder's own name."""
    return model_name if is_hub_id(model_name) else model_name.rstrip("/").rpartition("/")[2]


def _refuse_gpu(args: ApplicationArgs) -> None:
    if args.target_device is None and args.engine is None:
        raise ConfigError(
            "target_device: without it the model would run on GPUs, which this version does not "
            "serve; set target_device: AMD or INTEL to run it on the CPU",
            param="target_device",
        )
    if args.gpu_count is not None:
        raise ConfigError(
            "gpu_count: this application runs on the CPU (target_device or engine is set); "
            "leave gpu_count out",
            param="gpu_count",
        )
