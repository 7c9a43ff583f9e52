"""Folders in the words of some version of transformers 4."""

from __future__ import annotations

import json

from serving.conversion.checkpoint4 import checkpoint_for_4, checkpoint_for_4_37, side_files

TOKENIZER = {"model": {"type": "BPE", "merges": [["a", "b"]]}}


def new_checkpoint(folder):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"dtype": "float16"}))
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "onnx").mkdir()
    return folder


def read(path):
    return json.loads(path.read_text())


def test_weights_are_linked_and_words_are_old(tmp_path):
    new, old = new_checkpoint(tmp_path / "new"), tmp_path / "old"
    old.mkdir()
    checkpoint_for_4(new, old)
    assert read(old / "config.json") == {"torch_dtype": "float16"}
    assert read(old / "tokenizer.json") == TOKENIZER
    assert (old / "model.safetensors").samefile(new / "model.safetensors")
    assert {path.name for path in old.iterdir()} == {path.name for path in new.iterdir()} - {"onnx"}


def test_transformers_4_37_finds_merges_and_chat_template_where_it_looks(tmp_path):
    new, old = new_checkpoint(tmp_path / "new"), tmp_path / "old"
    (new / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    old.mkdir()
    checkpoint_for_4_37(new, old)
    assert read(old / "tokenizer.json")["model"]["merges"] == ["a b"]
    assert read(old / "tokenizer_config.json") == {
        "eos_token": "</s>",
        "chat_template": "{{ messages }}",
    }
    assert read(new / "tokenizer_config.json") == {"eos_token": "</s>"}


def test_side_files_are_all_but_weights(tmp_path):
    names = {path.name for path in side_files(new_checkpoint(tmp_path / "new"))}
    assert names == {"config.json", "tokenizer.json", "chat_template.jinja"}
