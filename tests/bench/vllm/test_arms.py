"""Every arm's vLLM is told the same."""

from __future__ import annotations

import pytest
import yaml

from bench.vllm import arms
from bench.vllm.files import SERVED
from inference.args import ApplicationArgs
from inference.bench.compare.config import ArmConfig
from inference.check.files import check_text
from inference.gpu_settings import gpu_settings
from serving.gpu.vllm_settings import vllm_arguments

MODEL = "models/anynode-demo"


def application(config):
    return config["applications"][0]


def test_options_are_words_of_a_command_line():
    said = arms.options({"max_num_seqs": 64, "enforce_eager": True})
    assert said == ["--max-num-seqs", "64", "--enforce-eager"]


def test_our_deployment_tells_vllm_what_the_bare_one_is_told():
    args = ApplicationArgs.model_validate(application(arms.ours(MODEL))["args"])
    told = vllm_arguments(gpu_settings(args).vllm, MODEL, (arms.MODEL_ID,))
    assert {name: told[name] for name in arms.ENGINE_ARGUMENTS} == arms.ENGINE_ARGUMENTS
    assert (told["model"], told["served_model_name"]) == (MODEL, [arms.MODEL_ID])
    bare = arms.bare(MODEL)["command"]
    for word in arms.options(arms.ENGINE_ARGUMENTS):
        assert word in bare


@pytest.mark.parametrize("config", [arms.ray_llm, arms.ray_llm_direct])
def test_rays_own_application_is_told_the_same(config):
    llm = application(config(MODEL))["args"]["llm_configs"][0]
    assert llm["engine_kwargs"] == arms.ENGINE_ARGUMENTS
    assert llm["model_loading_config"] == {"model_id": arms.MODEL_ID, "model_source": MODEL}


@pytest.mark.parametrize(("config", "proxy", "ready"), SERVED.values(), ids=SERVED)
def test_what_is_served_is_a_config_and_an_arm(config, proxy, ready):
    assert check_text(yaml.safe_dump(config(MODEL)), "served.yaml") == []
    arm = ArmConfig.model_validate(arms.served("x.yaml", proxy, ready)).arm("some")
    assert arm.ready == ready
    assert arm.command[-1] == "{port}"
