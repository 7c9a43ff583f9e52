"""A solution in full: each replica with its bytes, its speed and what holds it back. Pure."""

from __future__ import annotations

import math

from inference.plan.devices import CORE_FLOPS_16BIT, CORE_OPS_INT8, socket_bandwidth
from inference.plan.fit import (
    Fit,
    Running,
    context_of,
    running,
    tokens_of,
    words,
)
from inference.plan.fleet import GPU_KINDS, Model
from inference.plan.model_facts import ModelFacts
from inference.plan.plan import Bottleneck, Device, ModelPlan, Replica
from inference.plan.planner import Choice
from inference.plan.roofline import (
    ALL_REDUCE_S,
    NETWORK_ALL_REDUCE_S,
    NETWORK_BYTES_PER_S,
    Hardware,
    Work,
    decode_step,
)
from inference.plan.rooms import Room, Rooms, cores_of_sockets
from inference.plan.trial import Spot, Trial


def model_plan(choice: Choice, facts: ModelFacts, rooms: Rooms) -> ModelPlan:
    """One model's part of the plan; it has at least one replica."""
    trial, model = choice.trial, choice.model
    assert trial is not None
    way, fits = trial.way, [spot.fit for spot in trial.spots]
    how = running_of(model, facts, trial)
    on_gpus = way.kind in GPU_KINDS
    most = fits[0].most_sequences
    return ModelPlan(
        name=model.name,
        kind=way.kind,
        engine=how.engine,
        precision=how.precision,
        tensor_parallel_size=way.width,
        num_cpus=way.num_cpus,
        memory_bytes=way.host_bytes if on_gpus else max(fit.bytes_per_device.total for fit in fits),
        context=context_of(model, facts),
        max_num_seqs=most if on_gpus else min(most, *(fit.expected_sequences for fit in fits)),
        num_replicas=len(trial.spots),
        replicas=tuple(replica(choice, facts, rooms, number) for number in range(len(trial.spots))),
        why=why(choice),
    )


def running_of(model: Model, facts: ModelFacts, trial: Trial) -> Running:
    """How it runs where it was placed."""
    how = running(model, facts, trial.way.kind)
    assert isinstance(how, Running)  # or there would be no such way
    return how


def replica(choice: Choice, facts: ModelFacts, rooms: Rooms, number: int) -> Replica:
    """One of a model's, at its even part of the expected concurrency."""
    trial, model = choice.trial, choice.model
    assert trial is not None
    spot = trial.spots[number]
    expected = math.ceil(model.concurrency / len(trial.spots))
    batch = max(1, min(expected, spot.fit.expected_sequences))
    at = hardware(trial, spot, rooms, running_of(model, facts, trial).precision)
    step = decode_step(
        work(model, facts, trial, spot.fit, batch), at, batch, tokens_of(model, facts)
    )
    short = spot.fit.expected_sequences < expected
    bottleneck: Bottleneck = "KV memory" if short else step.bottleneck
    devices = tuple(_device(trial, spot, rooms))
    return Replica(
        model=model.name,
        number=number,
        node=devices[0].node,
        devices=devices,
        bytes_per_device=spot.fit.bytes_per_device,
        max_sequences=spot.fit.max_sequences,
        expected_sequences=spot.fit.expected_sequences,
        concurrency=batch,
        decode_tokens_per_s=batch / step.total_s,
        step_s=step.total_s,
        bottleneck=bottleneck,
    )


def _device(trial: Trial, spot: Spot, rooms: Rooms) -> list[Device]:
    found = []
    for number, index in spot.devices:
        room = rooms[number]
        if trial.way.kind in GPU_KINDS:
            product = rooms[spot.devices[0][0]].node.gpus[spot.entry].product
        else:
            product = room.node.vendor
        found.append(Device(room.name, index, product))
    return found


def work(model: Model, facts: ModelFacts, trial: Trial, fit: Fit, batch: int) -> Work:
    """What a decode step of so many sequences has to do."""
    way, parameters = trial.way, facts.parameters
    devices = way.width if way.kind in GPU_KINDS else 1
    return Work(
        weight_bytes=fit.bytes_per_device.weights * devices,
        read_share=parameters.read(batch) / parameters.total,
        active_parameters=parameters.active,
        kv_bytes_per_token=fit.kv_bytes_per_token,
        num_layers=facts.shape.num_layers,
        hidden_size=facts.hidden_size,
    )


def hardware(trial: Trial, spot: Spot, rooms: Rooms, precision: str) -> Hardware:
    """What the replica runs on; GPUs, or its part of sockets as one device."""
    way, room = trial.way, rooms[spot.devices[0][0]]
    if way.kind not in GPU_KINDS:
        return _cores(way.num_cpus, len(spot.devices), room, precision)
    gpu = room.gpus[spot.entry]
    spans = len({number for number, _ in spot.devices}) > 1
    return Hardware(
        num_devices=way.width,
        bandwidth=gpu.bandwidth,
        flops=gpu.flops_16bit,
        link=NETWORK_BYTES_PER_S if spans else gpu.link,
        all_reduce_s=NETWORK_ALL_REDUCE_S if spans else ALL_REDUCE_S,
    )


def _cores(num_cpus: int, num_sockets: int, room: Room, precision: str) -> Hardware:
    """A part of a socket is counted with its part of the memory's speed: the rest has others."""
    node = room.node
    share = min(1.0, num_cpus / (num_sockets * max(cores_of_sockets(node))))
    bandwidth = socket_bandwidth(node) * num_sockets * share
    cores = num_cpus / node.threads_per_core
    each = CORE_OPS_INT8 if precision == "int8" else CORE_FLOPS_16BIT
    return Hardware(1, bandwidth, cores * each, 1.0)


def why(choice: Choice) -> str:
    """Why this width and this number, against the ways that were tried before."""
    trial, model = choice.trial, choice.model
    assert trial is not None
    number, way = len(trial.spots), trial.way
    devices = words(way.kind)
    if way.kind not in GPU_KINDS:
        what = f"{way.num_cpus} cores of {devices}"
    else:
        what = f"{way.width} {devices if way.width > 1 else devices.removesuffix('s')}"
    replicas = f"1 replica of {what} holds" if number == 1 else f"{number} replicas of {what} hold"
    total = sum(spot.fit.expected_sequences for spot in trial.spots)
    said = f"{replicas} {total} sequences of a usual length, {model.concurrency} are expected"
    less = [each for each in choice.tried if each is not trial and each.way.kind == way.kind]
    narrower = {each.way.width: _held(each) for each in less if each.way.width < way.width}
    if narrower:
        said += "; narrower ones would hold " + ", ".join(
            f"{held} at {width} GPU{'s' * (width > 1)}" for width, held in narrower.items()
        )
    return said


def _held(trial: Trial) -> int:
    return sum(spot.fit.expected_sequences for spot in trial.spots)
