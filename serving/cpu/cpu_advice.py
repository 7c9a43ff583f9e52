"""What an operator should know of a machine's CPU: one of another maker, and what it cannot do."""

from __future__ import annotations

from dataclasses import dataclass

from serving.cpu.processor import Processor, Vendor

# Whose CPU a target device is.
DEVICES: dict[str, Vendor] = {"INTEL": "Intel", "AMD": "AMD"}


@dataclass(frozen=True, slots=True)
class Lack:
    """Instruction sets of which one would do, on whose CPUs, and what it costs to have none."""

    names: tuple[str, ...]
    on: frozenset[Vendor]
    cost: str


X86 = frozenset[Vendor]({"Intel", "AMD", "unknown"})
LACKS = (
    Lack(("AVX2",), X86, "engines compute with half as wide instructions; not measured"),
    Lack(
        ("AVX512-VNNI", "AVX-VNNI"),
        X86,
        "the onnx engine needs ONNX Runtime's exact int8 kernels: half the speed in reading "
        "prompts, 0.8 to 0.9 with one answer, 0.75 with 8, 0.6 with 32 (110 M parameters, 2 cores "
        "of an AMD EPYC that has VNNI, told to do without)",
    ),
    Lack(
        ("AVX512-BF16", "AMX-BF16"),
        X86,
        "engines that compute in bfloat16 do it in float32: a sixth of the speed in matrix "
        "products (822 and 128 to 140 GFLOP/s on 2 cores of an AMD EPYC); the onnx engine's int8 "
        "needs none",
    ),
    Lack(("AMX-INT8",), frozenset({"Intel"}), "prompts are read more slowly; not measured"),
    Lack(("I8MM", "DOTPROD"), frozenset({"ARM"}), "int8 is slower; not measured"),
)


def missing_instruction_sets(processor: Processor) -> dict[str, str]:
    """What it lacks and what that costs; nothing where its flags are not known."""
    if not processor.flags:
        return {}
    return {
        " or ".join(lack.names): lack.cost
        for lack in LACKS
        if processor.vendor in lack.on and not processor.has_any(*lack.names)
    }


def device_mismatch(processor: Processor, target_device: str | None) -> str | None:
    """What to say when the machine's CPU is not the one that the application was made for."""
    if target_device is None or processor.vendor in ("unknown", DEVICES[target_device]):
        return None
    found = f"target_device: {target_device}, but this machine's CPU is {processor.vendor}'s"
    send = (
        f"send the replica to {DEVICES[target_device]} nodes by a resource or label of theirs "
        "(ray_actor_options.resources, label_selector)"
    )
    better = {vendor: device for device, vendor in DEVICES.items()}.get(processor.vendor)
    if better is None:
        return f"{found} ({processor.model}), for which no engine of ours was tried; {send}"
    return f"{found} ({processor.model}); set target_device: {better}, or {send}"
