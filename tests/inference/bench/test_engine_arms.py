"""Which engines can be compared here, what they are asked, and what is kept of it."""

from __future__ import annotations

import shutil
from types import SimpleNamespace
from typing import Any

import pytest

from inference.bench.compare import config as comparison_config
from inference.bench.engine_arms import EngineArm, comparison, find_arms, speeds
from tests.contract.engine_contract import DEMO_MODEL


def names(arms: list[EngineArm]) -> list[str]:
    return [arm.name for arm in arms]


def test_arms_are_what_was_converted_and_can_be_run(tmp_path) -> None:
    shutil.copytree(DEMO_MODEL, tmp_path, dirs_exist_ok=True)
    both = {"onnx", "openvino"}
    assert names(find_arms(tmp_path, both.__contains__)) == ["onnx-int8", "openvino-int8"]
    everything = names(find_arms(tmp_path, lambda engine: True))
    assert everything == [
        "onnx-int8",
        "openvino-int8",
        "transformers-bfloat16",
        "transformers-int8",
    ]
    shutil.rmtree(tmp_path / "onnx")
    assert names(find_arms(tmp_path, both.__contains__)) == ["openvino-int8"]


def test_a_gguf_file_is_an_arm_where_it_is_the_only_one(tmp_path) -> None:
    (tmp_path / "gguf").mkdir()
    (tmp_path / "gguf" / "a-q8_0.gguf").touch()
    assert names(find_arms(tmp_path, {"llama_cpp"}.__contains__)) == ["llama_cpp-auto"]
    (tmp_path / "gguf" / "a-q5_k_m.gguf").touch()
    assert find_arms(tmp_path, {"llama_cpp"}.__contains__) == []


def test_the_comparison_is_one_that_compare_takes() -> None:
    arms = find_arms(DEMO_MODEL, {"onnx", "openvino"}.__contains__)
    content = comparison(
        DEMO_MODEL, arms, concurrency=[1, 8], rounds=2, num_threads=2, max_model_len=512
    )
    config = comparison_config.checked(content, str)
    assert list(config.arms) == ["onnx-int8", "openvino-int8"]
    command = config.arms["openvino-int8"].command
    at = command.index("--engine")
    assert command[at : at + 4] == ("--engine", "openvino", "--data-type", "int8")


def run(arm: str, name: str, tokens_per_s: float) -> Any:
    throughput = SimpleNamespace(output_tokens_per_s=tokens_per_s)
    return SimpleNamespace(arm=arm, name=name, throughput=throughput)


def test_medians_are_kept() -> None:
    runs = [run("onnx-int8", "c=1", each) for each in (10, 30, 20)] + [run("onnx-int8", "c=8", 99)]
    arms = [EngineArm("onnx", "int8"), EngineArm("openvino", "int8")]
    onnx, openvino = speeds(arms, runs, {"c=1": 1, "c=8": 8})
    assert onnx.tokens_per_s == {1: 20, 8: 99}
    assert openvino.tokens_per_s == {}


@pytest.mark.parametrize("number", [1, 2])
def test_names_say_both(number: int) -> None:
    assert EngineArm("onnx", f"int{number}").name == f"onnx-int{number}"
