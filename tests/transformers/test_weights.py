"""Folders that cannot be loaded: one sentence each, with the fix in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, T5Config

from scripts.make_random_checkpoint import SHAPES, make_checkpoint
from serving.engines.transformers_weights import load_model, weight_bytes
from serving.errors import ConfigError


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    make_checkpoint(SHAPES["tiny"], folder)
    return folder


@pytest.fixture
def folder(checkpoint, tmp_path) -> Path:
    return Path(shutil.copytree(checkpoint, tmp_path / "model"))


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def refuse(folder, words, data_type="auto", param="model_name"):
    with pytest.raises(ConfigError, match=words) as caught:
        load_model(folder, data_type, trust_remote_code=False)
    assert caught.value.param == param
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data_type", "loaded"),
    [
        ("auto", torch.float16),
        ("bfloat16", torch.bfloat16),
        ("float32", torch.float32),
        ("int8", torch.bfloat16),
    ],
)
def test_the_data_type_is_the_one_asked_for(folder, data_type, loaded):
    assert load_model(folder, data_type, trust_remote_code=False).data_type == loaded


def test_a_folder_that_is_not_there(tmp_path):
    refuse(tmp_path / "nowhere", "has no config.json")


def test_a_folder_without_weights(folder):
    (folder / "model.safetensors").unlink()
    refuse(folder, r"cannot be loaded \(.*model.safetensors.*\); check its files")


@pytest.mark.parametrize("left", [0, 8, 1000, -1])
def test_weights_cut_short(folder, left):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:left])
    refuse(folder, "cut short or not safetensors .*; copy them anew")


def test_a_pointer_where_the_weights_should_be(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    refuse(folder, "cut short or not safetensors")


def test_a_part_of_the_weights_that_is_missing(folder):
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    (folder / "model.safetensors").rename(folder / first)
    names = {"model.norm.weight": second, "model.embed_tokens.weight": first}
    index = {"metadata": {}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refuse(folder, second)


def test_more_layers_than_there_are_weights(folder):
    edit(folder, num_hidden_layers=3)
    refuse(folder, r"lacks weights of the LlamaForCausalLM .*layers\.2\..* and 6 more")


def test_weights_of_another_size(folder):
    edit(folder, hidden_size=32)
    refuse(folder, "weights of sizes other than those of the LlamaForCausalLM")


def test_pickled_weights(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    refuse(folder, "pickled weights only.* trust_remote_code: true")
    assert load_model(folder, "auto", trust_remote_code=True).name == "LlamaForCausalLM"


def test_code_that_comes_with_the_model(folder):
    edit(
        folder, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"}
    )
    refuse(folder, "code of its own; set trust_remote_code: true")


def test_an_encoder_with_a_decoder(folder):
    (folder / "config.json").write_text(T5Config(num_layers=1).to_json_string())
    refuse(folder, "holds a 't5', which is no causal language model")


def test_an_architecture_that_nobody_knows(folder):
    edit(folder, model_type="frobnicate")
    refuse(folder, "holds a 'frobnicate', which this version of transformers does not know")


def test_an_encoder_without_a_head(tmp_path):
    sizes = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=99, hidden_size=32, **sizes)).save_pretrained(tmp_path)
    refuse(tmp_path, "lacks weights of the BertLMHeadModel")


def test_weights_that_other_libraries_quantised(folder):
    edit(folder, quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 128})
    refuse(folder, "needs a library that is not installed here .*optimum")
    refuse(folder, "quantised already; set data_type: auto", data_type="int8", param="data_type")


def test_weights_that_do_not_fit(folder, monkeypatch):
    monkeypatch.setattr("serving.memory.available_bytes", lambda: 100_000)
    refuse(folder, r"take 0\.0 GB and only 0\.0 GB of memory are free; give this model more")


def test_what_weights_will_take_is_known_before(folder):
    stored = sum(
        t.numel() * t.element_size() for t in load_file(folder / "model.safetensors").values()
    )
    assert weight_bytes(folder, None) == weight_bytes(folder, torch.bfloat16) == stored
    assert weight_bytes(folder, torch.float32) == 2 * stored
