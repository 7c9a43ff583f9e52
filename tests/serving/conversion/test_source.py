"""What is found wrong with a checkpoint before anything of it is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from serving.conversion.source import num_values, read_checkpoint
from serving.errors import ConfigError

DEMO_MODEL = Path(__file__).parents[3] / "models" / "anynode-demo"
WEIGHTS = "model.safetensors"


@pytest.fixture
def copy(tmp_path):
    for path in DEMO_MODEL.iterdir():
        if path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


def test_the_demo_model_is_whole():
    checkpoint = read_checkpoint(DEMO_MODEL)
    assert checkpoint.model_type == "llama"
    assert checkpoint.num_parameters == num_values(DEMO_MODEL / WEIGHTS)
    # 16 bits a parameter, and the header's few kilobytes
    assert 0 < checkpoint.weight_bytes - 2 * checkpoint.num_parameters < 20_000


@pytest.mark.parametrize("cut", [1, 1000, 8_000_000])
def test_weights_that_are_cut_short(copy, cut):
    data = (copy / WEIGHTS).read_bytes()
    (copy / WEIGHTS).write_bytes(data[:-cut])
    with pytest.raises(ConfigError, match=r"model\.safetensors is cut short.*download it again"):
        read_checkpoint(copy)


@pytest.mark.parametrize("content", [b"", b"\xff" * 64, (8).to_bytes(8, "little") + b"nonsense"])
def test_what_is_no_safetensors_file(copy, content):
    (copy / WEIGHTS).write_bytes(content)
    with pytest.raises(ConfigError, match="is cut short or no safetensors file"):
        read_checkpoint(copy)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("config.json", r"no config\.json"),
        ("tokenizer.json", "no tokenizer; copy"),
        (WEIGHTS, "no weights"),
    ],
)
def test_what_is_missing_is_named(copy, name, words):
    (copy / name).unlink()
    with pytest.raises(ConfigError, match=words):
        read_checkpoint(copy)


def test_a_part_that_the_index_names_and_nobody_has(copy):
    index = {"weight_map": {"a": WEIGHTS, "b": "model-00002-of-00002.safetensors"}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ConfigError, match="lacks model-00002-of-00002"):
        read_checkpoint(copy)
