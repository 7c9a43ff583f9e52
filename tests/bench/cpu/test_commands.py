"""Every arm is started with words that its program knows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from bench.cpu import commands
from bench.cpu.arms import ARMS, OURS, PEERS, Worker
from bench.cpu.peers.worker import opening
from inference.args import ApplicationArgs
from inference.check.files import check_text
from serving.engines.onnx import checked_options

MODEL = Path("models/anynode-demo")
WEIGHTS = MODEL / "openvino"
ROOM = commands.Room(num_threads=2, concurrency=8, vendor="Intel")


def after(command, word):
    return command[list(command).index(word) + 1]


def args(run, engine):
    (application,) = commands.serve_config(run, engine, MODEL, ROOM)["applications"]
    return application["args"]


@pytest.mark.parametrize("arm", OURS, ids=lambda arm: arm.name)
def test_ours_is_a_config_that_anynode_serve_takes(arm):
    config = commands.serve_config(arm.run, arm.run.engine, MODEL, ROOM)
    assert check_text(yaml.safe_dump(config), "serve.yaml") == []
    told = ApplicationArgs.model_validate(args(arm.run, arm.run.engine))
    assert (told.engine, told.data_type) == (arm.run.engine, arm.run.data_type)
    assert (told.batch_size, told.num_threads) == (8, 2)
    command = commands.server(arm, WEIGHTS, Path("serve.yaml"), ROOM).on_port(8000).command
    assert command[3:] == ("serve", "serve.yaml", "--port", "8000")


def test_only_vllm_is_told_a_device_because_without_it_means_gpus():
    assert args(ARMS["vllm-int8"].run, "vllm")["target_device"] == "INTEL"
    assert "target_device" not in args(ARMS["onnx-int8"].run, "onnx")
    assert [commands.target_device(each) for each in ("AMD", "ARM")] == ["AMD", "AMD"]


def test_what_only_one_engine_understands_goes_to_it_alone(monkeypatch):
    monkeypatch.setattr(commands, "ENGINE_KWARGS", {"onnx": {"enable_prefix_caching": False}})
    auto = ARMS["auto"].run
    assert args(auto, "onnx")["engine_kwargs"] == {"enable_prefix_caching": False}
    assert "engine_kwargs" not in args(auto, "openvino")


def test_engines_take_what_they_are_told():
    for name, told in commands.ENGINE_KWARGS.items():
        assert name == "onnx"
        assert checked_options(told).keys() >= told.keys()


def test_bare_vllm_is_its_own_server_in_its_own_environment():
    command = commands.server(ARMS["vllm-serve-int8"], WEIGHTS, Path("unused"), ROOM).command
    assert command[0].endswith(".cache/vllm/bin/python")
    assert after(command, "--model") == str(WEIGHTS)
    assert after(command, "--max-num-seqs") == "8"
    assert after(command, "--port") == "{port}"


@pytest.mark.parametrize(
    "arm", [arm for arm in PEERS if isinstance(arm.run, Worker)], ids=lambda arm: arm.name
)
def test_a_worker_understands_its_command(arm):
    python, _, module, *arguments = commands.worker(arm, WEIGHTS, ROOM)
    assert Path(python).name.startswith("python")
    assert module == f"bench.cpu.peers.{arm.run.module}"
    told = opening(arguments)
    assert (told.weights, told.num_threads, told.max_num_seqs) == (WEIGHTS, 2, 8)
    assert told.max_model_len == commands.MAX_MODEL_LEN


def test_all_arms_have_the_same_threads_and_fetch_nothing():
    said = commands.variables(ROOM, {"OMP_NUM_THREADS": "64", "HF_HUB_OFFLINE": "0"})
    assert (said["OMP_NUM_THREADS"], said["HF_HUB_OFFLINE"]) == ("2", "1")


def test_what_was_set_for_vllm_stays():
    name = "VLLM_CPU_OMP_THREADS_BIND"
    assert commands.variables(ROOM, {name: "0-7"})[name] == "0-7"
    cpus = commands.variables(ROOM, {})[name].split(",")
    assert set(map(int, cpus)) == os.sched_getaffinity(0)
