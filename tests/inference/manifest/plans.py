"""Plans made by hand, where the planner's own choices would be in the way."""

from __future__ import annotations

from collections.abc import Sequence

from inference.plan.fleet import GPU_KINDS, DeviceKind
from inference.plan.plan import Device, DeviceBytes, ModelPlan, Plan, Replica

GIB = 2**30


def replica(model: str, number: int, spots: Sequence[tuple[str, int]]) -> Replica:
    """On (node, index of GPU or socket); its actor is on the first."""
    return Replica(
        model=model,
        number=number,
        node=spots[0][0],
        devices=tuple(Device(node, index, "any") for node, index in spots),
        bytes_per_device=DeviceBytes(GIB, GIB, GIB),
        max_sequences=8,
        concurrency=8,
        expected_sequences=8,
        decode_tokens_per_s=100.0,
        step_s=0.08,
        bottleneck="memory bandwidth",
    )


def model_plan(
    name: str,
    kind: DeviceKind,
    replicas: Sequence[Sequence[tuple[str, int]]],
    *,
    num_cpus: int = 2,
    engine: str | None = None,
    precision: str = "bfloat16",
) -> ModelPlan:
    usual = {"intel_cpu": "openvino", "amd_cpu": "onnx"}.get(kind, "vllm")
    return ModelPlan(
        name=name,
        kind=kind,
        engine=engine or usual,
        precision=precision,
        tensor_parallel_size=len(replicas[0]) if kind in GPU_KINDS else 1,
        num_cpus=num_cpus,
        memory_bytes=4 * GIB,
        context=4096,
        max_num_seqs=8,
        num_replicas=len(replicas),
        replicas=tuple(replica(name, number, spots) for number, spots in enumerate(replicas)),
        why="by hand",
    )


def plan_of(*models: ModelPlan) -> Plan:
    return Plan(models, (), ())
