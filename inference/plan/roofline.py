"""How long a decode step takes, from what must be read, computed and exchanged in it. Pure.

A step gives one token to each sequence of the batch. Every device reads its part of the weights
once and the keys and values of all sequences, and multiplies every active parameter with every
sequence; the devices of a tensor-parallel replica add up their parts twice in each layer.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference.plan.plan import Bottleneck

# What engines make of the hardware's peak. Memory: the CPU engines measured for anynode reach 58 to
# 92 % when they decode one sequence. Products: 50 to 60 % in prefill.
MEMORY_EFFICIENCY = 0.7
COMPUTE_EFFICIENCY = 0.5

ALL_REDUCES_PER_LAYER = 2
# Until the first byte of a sum is there: within a node, and over a network.
ALL_REDUCE_S = 15e-6
NETWORK_ALL_REDUCE_S = 100e-6
NETWORK_BYTES_PER_S = 15.1e9 / 8  # what was seen between two nodes of one replica (docs/plan.md)


@dataclass(frozen=True, slots=True)
class Work:
    """A model as its replica runs it."""

    weight_bytes: float  # all of them
    read_share: float  # of the weights, that a step of this batch reads
    active_parameters: float
    kv_bytes_per_token: float  # on each device
    num_layers: int
    hidden_size: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """Equal devices of one replica; rates are per second and device."""

    num_devices: int
    bandwidth: float
    flops: float
    link: float
    all_reduce_s: float = ALL_REDUCE_S


@dataclass(frozen=True, slots=True)
class Step:
    """One decode step."""

    memory_s: float
    compute_s: float
    interconnect_s: float

    @property
    def total_s(self) -> float:
        """Reading and computing overlap; sums over devices wait for both."""
        return max(self.memory_s, self.compute_s) + self.interconnect_s

    @property
    def bottleneck(self) -> Bottleneck:
        """What takes longest."""
        longest = max(self.memory_s, self.compute_s, self.interconnect_s)
        if longest == self.interconnect_s:
            return "interconnect"
        return "memory bandwidth" if longest == self.memory_s else "compute"


def decode_step(work: Work, hardware: Hardware, batch: int, tokens: int) -> Step:
    """For `batch` sequences that each have `tokens` tokens in the cache."""
    weights = work.weight_bytes * work.read_share / hardware.num_devices
    cache = batch * tokens * work.kv_bytes_per_token
    operations = 2 * work.active_parameters * batch / hardware.num_devices
    return Step(
        memory_s=(weights + cache) / (hardware.bandwidth * MEMORY_EFFICIENCY),
        compute_s=operations / (hardware.flops * COMPUTE_EFFICIENCY),
        interconnect_s=_sums_s(work, hardware, batch),
    )


def prefill_s(work: Work, hardware: Hardware, prompt_tokens: int) -> float:
    """To read a prompt: products, unless it is so short that the weights take longer."""
    operations = 2 * work.active_parameters * prompt_tokens / hardware.num_devices
    computing = operations / (hardware.flops * COMPUTE_EFFICIENCY)
    reading = work.weight_bytes / hardware.num_devices / (hardware.bandwidth * MEMORY_EFFICIENCY)
    return max(computing, reading) + _sums_s(work, hardware, prompt_tokens)


def _sums_s(work: Work, hardware: Hardware, batch: int) -> float:
    """Two sums of [batch, hidden] in each layer, in a ring: each device sends nearly all twice."""
    devices = hardware.num_devices
    if devices == 1:
        return 0.0
    sent = 2 * (devices - 1) / devices * batch * work.hidden_size * 2
    return ALL_REDUCES_PER_LAYER * work.num_layers * (hardware.all_reduce_s + sent / hardware.link)
