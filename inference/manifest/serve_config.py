"""A plan as a Serve config: the very file that `serve run` and `serve deploy` take."""

from __future__ import annotations

from typing import Any

from inference.app import CPU_ENGINES
from inference.args import TargetDevice
from inference.manifest.names import MODEL_LABEL, SERVE_PORT
from inference.names import given
from inference.plan.fleet import GPU_KINDS, DeviceKind, Fleet, Model
from inference.plan.plan import ModelPlan, Plan

BUILDER = "inference:typed_app_builder"
GRACE_S = 60  # for the answers of a replica that is to go

TARGET_DEVICES: dict[DeviceKind, TargetDevice] = {
    "intel_cpu": TargetDevice.INTEL,
    "amd_cpu": TargetDevice.AMD,
}
# How weights are held, in the arguments' words, where data_type does not say it.
QUANTIZED_ON_GPUS = {
    "fp8": {"load_in_8bit": True},
    "int8": {"load_in_8bit": True},
    "int4": {"load_in_4bit": True},
}


def serve_config(plan: Plan, fleet: Fleet) -> dict[str, Any]:
    """One application for each model of the plan."""
    models = {model.name: model for model in fleet.models}
    return {
        "proxy_location": "EveryNode",
        "http_options": {"host": "0.0.0.0", "port": SERVE_PORT},
        "applications": [_application(each, models[each.name]) for each in plan.models],
    }


def _application(planned: ModelPlan, model: Model) -> dict[str, Any]:
    on_gpus = planned.kind in GPU_KINDS
    return {
        "name": model.name,
        "import_path": BUILDER,
        "route_prefix": model.route_prefix,
        "args": {
            "model_name": model.source,
            "served_model_name": model.name,
            **(_gpu_args(planned, model) if on_gpus else _cpu_args(planned)),
            "batch_size": planned.max_num_seqs,
            "max_model_len": planned.context,
            "num_threads": planned.num_cpus,
            "label_selector": {MODEL_LABEL: model.name},
            **model.args,
        },
        "deployments": [
            {
                "name": "VLLMPredictDeployment" if on_gpus else "CPUDeployment",
                "num_replicas": planned.num_replicas,
                "graceful_shutdown_timeout_s": GRACE_S,
            }
        ],
    }


def _gpu_args(planned: ModelPlan, model: Model) -> dict[str, Any]:
    weights = QUANTIZED_ON_GPUS.get(planned.precision, {"data_type": planned.precision})
    return {
        "gpu_count": planned.tensor_parallel_size,
        **weights,
        **given(cache_8bit=model.cache_8bit or None, across_nodes=model.across_nodes or None),
    }


def _cpu_args(planned: ModelPlan) -> dict[str, Any]:
    device = TARGET_DEVICES[planned.kind]
    usual = planned.engine == CPU_ENGINES[device]
    return {
        "target_device": device.value,
        **({} if usual else {"engine": planned.engine}),
        "data_type": planned.precision,
        "kv_cache_bytes": min(each.bytes_per_device.kv_cache for each in planned.replicas),
    }
