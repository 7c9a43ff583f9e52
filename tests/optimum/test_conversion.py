"""Checkpoints that transformers 5 saved, converted by libraries that know transformers 4."""

from __future__ import annotations

import json
import re

from transformers import AutoConfig, AutoTokenizer

from serving.conversion.checkpoint4 import checkpoint_for_4
from tests.contract.engine_contract import DEMO_MODEL
from tests.optimum.conftest import convert, copy_checkpoint


def edit(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_transformers_4_reads_what_transformers_5_wrote(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    scaling = {"rope_type": "linear", "factor": 2.0}
    edit(folder, rope_parameters={**scaling, "rope_theta": 12345.0}, dtype="float16")
    new = json.loads((folder / "tokenizer_config.json").read_text())
    new["tokenizer_class"] = "TokenizersBackend"
    (folder / "tokenizer_config.json").write_text(json.dumps(new))
    (tmp_path / "old").mkdir()
    checkpoint_for_4(folder, tmp_path / "old")
    config = AutoConfig.from_pretrained(tmp_path / "old")
    assert config.rope_theta == 12345.0
    assert config.rope_scaling["factor"] == 2.0
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "old")
    ids = tokenizer("What is the capital of France?")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "What is the capital of France?"
    assert (tmp_path / "old" / "model.safetensors").samefile(folder / "model.safetensors")


def test_the_result_holds_all_that_serving_reads(converted):
    names = {path.name for path in (converted / "optimum").iterdir()}
    assert {"model.onnx", "config.json", "generation_config.json", "tokenizer.json"} <= names
    assert all(not path.is_symlink() for path in (converted / "optimum").iterdir())
    here, there = ({path.name for path in each.iterdir()} for each in (converted, DEMO_MODEL))
    assert here - {"optimum", ".converting-optimum.lock"} == there - {"onnx", "openvino"}


def test_what_fails_leaves_the_old_result(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    (folder / "optimum").mkdir()
    (folder / "optimum" / "kept").touch()
    (folder / "model.safetensors").write_bytes(b"")
    done = convert(folder)
    assert done.returncode == 1
    assert re.search(r"error: .*model\.safetensors is cut short", done.stderr)
    assert [path.name for path in (folder / "optimum").iterdir()] == ["kept"]


def test_what_optimum_does_not_know_is_one_sentence(tmp_path):
    folder = copy_checkpoint(tmp_path / "model")
    edit(folder, model_type="no_such_model")
    done = convert(folder)
    assert done.returncode == 1
    assert re.search(r"error: .* could not be converted by Optimum .* another engine", done.stderr)
    assert not (folder / "optimum").exists()


def test_a_folder_that_is_no_checkpoint(tmp_path):
    done = convert(tmp_path)
    assert done.returncode == 1
    assert "has no config.json; give the folder" in done.stderr
