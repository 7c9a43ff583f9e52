"""serving.gpu.cpu_device: a vLLM for CPUs gets a modest cache, and cores for each rank."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ConfigError
from serving.gpu.cpu_device import (
    AMX_WORKER,
    BIND_VARIABLE,
    KV_CACHE_BYTES,
    KV_SPACE_VARIABLE,
    binding,
    on_cpu,
    prepare_environment,
    with_amx,
    with_kv_cache,
)
from serving.gpu.vllm_settings import VLLMSettings, vllm_arguments


def test_unasked_the_cache_is_modest():
    assert with_kv_cache(VLLMSettings(), {}).kv_cache_bytes == KV_CACHE_BYTES


@pytest.mark.parametrize(
    ("settings", "environment"),
    [
        ({"kv_cache_bytes": 5}, {}),
        ({"gpu_memory_utilization": 0.3}, {}),
        ({}, {"VLLM_CPU_KVCACHE_SPACE": "2"}),
    ],
)
def test_what_somebody_chose_stands(settings, environment):
    told = VLLMSettings(**settings)
    assert with_kv_cache(told, environment) == told


def test_the_last_room_for_an_adapter_stays_empty():
    told = VLLMSettings(lora_adapters={"a": "/a", "b": "/b"}, engine_kwargs={"seed": 7})
    made = vllm_arguments(on_cpu(told, {}), "m", ("llama",), max_lora_rank=8)
    assert (made["max_loras"], made["seed"]) == (3, 7)
    assert made["kv_cache_memory_bytes"] == KV_CACHE_BYTES
    assert "max_loras" not in on_cpu(VLLMSettings(), {}).engine_kwargs


@pytest.mark.parametrize("name", ["load_in_8bit", "load_in_4bit"])
def test_weights_that_only_gpus_can_take_are_refused(name):
    with pytest.raises(ConfigError, match=f"^{name}: .* on GPUs only") as caught:
        prepare_environment(VLLMSettings(**{name: True}))
    assert caught.value.param == name


def test_each_rank_gets_cores_and_the_cache_is_the_one_that_was_said(monkeypatch):
    monkeypatch.setenv(KV_SPACE_VARIABLE, "4")
    monkeypatch.delenv(BIND_VARIABLE, raising=False)
    prepare_environment(VLLMSettings())
    assert os.environ[KV_SPACE_VARIABLE] == "4"
    assert BIND_VARIABLE not in os.environ
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    prepare_environment(VLLMSettings(kv_cache_bytes=5, tensor_parallel_size=2))
    assert KV_SPACE_VARIABLE not in os.environ
    assert os.environ[BIND_VARIABLE] == "0,1|2,3"
    prepare_environment(VLLMSettings(tensor_parallel_size=4))
    assert os.environ[BIND_VARIABLE] == "0,1|2,3"


@given(st.integers(1, 64), st.integers(1, 16))
def test_ranks_share_no_core_while_there_are_enough(num_cpus, ranks):
    shares = [share.split(",") for share in binding(range(num_cpus), ranks).split("|")]
    assert len(shares) == ranks
    assert all(shares)
    if num_cpus >= ranks:
        cores = [core for share in shares for core in share]
        assert len(set(cores)) == len(cores)
        assert len({len(share) for share in shares}) == 1


def test_workers_may_use_amx_unless_the_operator_extends_them():
    assert with_amx(VLLMSettings()).engine_kwargs == {"worker_extension_cls": AMX_WORKER}
    own = VLLMSettings(engine_kwargs={"worker_extension_cls": "my.Worker"})
    assert with_amx(own) == own


@pytest.mark.parametrize("has_amx", [True, False])
def test_amx_is_asked_for_when_the_extension_is_imported(monkeypatch, has_amx):
    asked: list[bool] = []
    torch = ModuleType("torch")
    torch.cpu = SimpleNamespace(  # type: ignore[attr-defined]
        _is_amx_tile_supported=lambda: has_amx, _init_amx=lambda: asked.append(True)
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    module, _, name = AMX_WORKER.rpartition(".")
    monkeypatch.delitem(sys.modules, module, raising=False)
    assert getattr(importlib.import_module(module), name)
    assert bool(asked) == has_amx


def test_a_torch_without_those_names_is_left_alone(monkeypatch):
    torch = ModuleType("torch")
    torch.cpu = SimpleNamespace()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.delitem(sys.modules, AMX_WORKER.rpartition(".")[0], raising=False)
    importlib.import_module(AMX_WORKER.rpartition(".")[0])
