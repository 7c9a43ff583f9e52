"""The application builder: one model's arguments in, one Serve application out.

Serve calls `typed_app_builder` on whichever node builds the application, which may hold neither
the weights nor an engine: nothing here touches them.
"""

# No `from __future__ import annotations` here: Ray reads the builder's raw annotation, and a
# string instead of the class would make it hand over an unchecked dict.

import logging
from typing import TYPE_CHECKING

from inference import cluster
from inference.args import GPU_ARGUMENTS, VLLM, ApplicationArgs, TargetDevice
from inference.cpu_placement import DEPLOYMENT, actor_options
from inference.gpu_settings import gpu_settings
from inference.names import default_name, given
from serving.cpu.auto_engine import AUTO
from serving.cpu.deployment import CPUDeployment, CPUSettings
from serving.cpu.engines import INTEL_ENGINE, KNOWN
from serving.engine import check_name
from serving.errors import ConfigError
from serving.gpu.deployment import GPUSettings, VLLMPredictDeployment, serve_options
from serving.gpu.gpu_arithmetic import check_cluster, idle_gpus
from serving.gpu.placement import Wanted
from serving.http import FaceSettings

if TYPE_CHECKING:
    from ray.serve import Application

logger = logging.getLogger(__name__)

CPU_ENGINES = {TargetDevice.AMD: "onnx", TargetDevice.INTEL: INTEL_ENGINE}

# Requests that are answered at once (health, metrics, refusals) beside those running or queued.
SPARE_REQUESTS = 64


def typed_app_builder(args: ApplicationArgs) -> "Application":
    """The Serve application that `args` describe; raises ConfigError where they cannot work."""
    for notice in args.notices():
        logger.warning(notice)
    if args.uses_vllm:
        return _gpu_application(args, gpu_settings(args))
    return _cpu_application(args, cpu_settings(args))


def _cpu_application(args: ApplicationArgs, settings: CPUSettings) -> "Application":
    from ray import serve

    logger.info("engine %s for %s: %s", settings.engine, settings.model_name, engine_reason(args))
    deployment = serve.deployment(
        name=DEPLOYMENT,
        max_ongoing_requests=settings.max_requests + SPARE_REQUESTS,
        ray_actor_options=actor_options(args),
    )
    return deployment(serve.ingress()(CPUDeployment)).bind(settings)


def _gpu_application(args: ApplicationArgs, settings: GPUSettings) -> "Application":
    from ray import serve

    why = "named in args" if args.engine else "no target_device is set"
    logger.info("engine vllm for %s: %s", settings.model_name, why)
    if settings.wanted is not None:
        _check_cluster(settings.wanted)
    deployment = serve.deployment(
        name="VLLMPredictDeployment",
        max_ongoing_requests=settings.max_requests + SPARE_REQUESTS,
        **serve_options(settings, args.num_threads or 1),
    )
    return deployment(serve.ingress()(VLLMPredictDeployment)).bind(settings)


def _check_cluster(wanted: Wanted) -> None:
    """Raise ConfigError when Serve would wait for ever for GPUs that no node has."""
    nodes = cluster.gpus_of_nodes()
    if nodes is None:
        return
    try:
        check_cluster(wanted, nodes)
    except ConfigError as error:
        cluster.wait_or_raise(error)
        return
    for num_gpus in sorted(set(nodes) - {0}):
        if not wanted.spans_nodes and (note := idle_gpus(wanted, num_gpus)) is not None:
            logger.warning(note)


def cpu_settings(args: ApplicationArgs) -> CPUSettings:
    """What the CPU deployment is told; raises ConfigError where the arguments do not fit it."""
    _refuse_gpu(args)
    return CPUSettings(
        model_name=args.model_name,
        engine=choose_engine(args),
        engine_is_named=args.engine is not None,
        engine_reason=engine_reason(args),
        num_threads=args.num_threads,
        target_device=args.target_device,
        **given(replicas_per_socket=args.replicas_per_socket, pin_cores=args.pin_cores),
        hf_token=None if args.hf_token is None else args.hf_token.get_secret_value(),
        face=FaceSettings(
            model_id=args.served_model_name or default_name(args.model_name),
            max_num_seqs=args.batch_size,
            loopback_only=args.loopback_only,
            **given(
                max_queued_requests=args.max_queued_requests,
                request_timeout_s=args.request_timeout_s,
                default_max_tokens=args.max_new_tokens,
                default_temperature=args.temperature,
            ),
        ),
        engine_settings=given(
            data_type=args.data_type,
            max_model_len=args.max_model_len,
            kv_cache_bytes=args.kv_cache_bytes,
            trust_remote_code=args.trust_remote_code,
            engine_kwargs=args.engine_kwargs,
        ),
    )


def choose_engine(args: ApplicationArgs) -> str:
    """The engine named in `args`, or the one their target device calls for."""
    if args.engine is None:
        assert args.target_device is not None  # or the model runs on GPUs
        return CPU_ENGINES[args.target_device]
    check_name(args.engine, {*KNOWN, VLLM, AUTO})
    return args.engine


def engine_reason(args: ApplicationArgs) -> str:
    """Why the engine is the one it is, for the log."""
    return "named in args" if args.engine else f"target_device is {args.target_device}"


def _refuse_gpu(args: ApplicationArgs) -> None:
    for name in GPU_ARGUMENTS:
        if getattr(args, name) is not None:
            raise ConfigError(
                f"{name}: this application runs on the CPU (target_device or engine is set); "
                f"leave {name} out",
                param=name,
            )
