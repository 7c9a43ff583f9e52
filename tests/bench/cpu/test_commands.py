"""Every arm is started with words that its program knows."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer.main

from bench.cpu import commands
from bench.cpu.arms import ARMS, OURS, PEERS, Worker
from bench.cpu.peers.worker import opening
from inference.cli.main import app

MODEL = Path("models/anynode-demo")
WEIGHTS = MODEL / "openvino"
ROOM = commands.Room(num_threads=2, concurrency=8, vendor="Intel")


def after(command, word):
    return command[list(command).index(word) + 1]


@pytest.mark.parametrize("arm", OURS, ids=lambda arm: arm.name)
def test_ours_is_a_command_that_anynode_serve_takes(arm):
    command = commands.server(arm, MODEL, WEIGHTS, ROOM).on_port(8000).command
    serve = typer.main.get_command(app).commands["serve"]
    said = serve.make_context("serve", list(command[4:])).params
    assert (said["target"], said["port"]) == (str(MODEL), 8000)
    assert (said["engine"], said["data_type"]) == (arm.run.engine, arm.run.data_type)
    assert (said["batch_size"], said["num_threads"]) == (8, 2)


def test_only_vllm_is_told_a_device_because_without_it_means_gpus():
    command = commands.ours(ARMS["vllm-int8"].run, MODEL, ROOM)
    assert after(command, "--target-device") == "INTEL"
    assert "--target-device" not in commands.ours(ARMS["onnx-int8"].run, MODEL, ROOM)
    assert [commands.target_device(each) for each in ("AMD", "ARM")] == ["AMD", "AMD"]


def test_bare_vllm_is_its_own_server_in_its_own_environment():
    command = commands.server(ARMS["vllm-serve-int8"], MODEL, WEIGHTS, ROOM).command
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
    assert commands.variables(ROOM)["OMP_NUM_THREADS"] == "2"
    assert commands.variables(ROOM)["HF_HUB_OFFLINE"] == "1"
