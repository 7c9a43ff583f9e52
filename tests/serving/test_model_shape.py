"""serving.model_shape: what a folder tells."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from serving.errors import ConfigError
from serving.model_shape import lora_rank, read_config, read_shape

DEMO_MODEL = Path(__file__).parents[2] / "models" / "anynode-demo"


def folder(tmp_path: Path, config: object, num_bytes: int = 0) -> Path:
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(bytes(num_bytes))
    return tmp_path


def test_the_demo_model():
    shape = read_shape(DEMO_MODEL)
    assert (shape.num_layers, shape.num_kv_heads, shape.head_dim) == (4, 2, 64)
    assert shape.kv_bytes_per_token() == 2 * 4 * 2 * 64 * 2
    assert shape.weight_bytes == (DEMO_MODEL / "model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("changes", "weight_bytes"),
    [
        ({"torch_dtype": "float32"}, 500),
        ({"dtype": "bfloat16"}, 1000),
        ({"torch_dtype": "float32", "quantization_config": {}}, 1000),
    ],
)
def test_weights_are_counted_as_they_are_loaded(tmp_path, changes, weight_bytes):
    config = {**read_config(DEMO_MODEL), "torch_dtype": None, **changes}
    assert read_shape(folder(tmp_path, config, 1000)).weight_bytes == weight_bytes


def test_a_model_of_another_kind_has_no_shape(tmp_path):
    assert read_shape(folder(tmp_path, {"model_type": "other"})) is None


def test_folders_that_hold_no_model_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"has no config\.json"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_config(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ConfigError, match="no JSON object"):
        read_config(tmp_path)


def test_an_adapters_rank(tmp_path):
    with pytest.raises(ConfigError, match="holds no adapter"):
        lora_rank(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"r": 8}')
    assert lora_rank(tmp_path) == 8
