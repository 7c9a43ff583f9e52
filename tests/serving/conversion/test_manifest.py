"""The manifest says what it was told, and refuses what the decoder could not use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from serving.conversion.manifest import Manifest, read_manifest, write_manifest
from serving.errors import ConfigError

MANIFEST = Manifest(
    model_type="llama",
    num_layers=2,
    num_kv_heads=2,
    head_dim=16,
    vocab_size=96,
    max_model_len=32,
    eos_token_ids=(1, 2),
    quantization="int8",
    weight_bytes_per_step=1000,
    files={"model.onnx": 3},
    made_with={"onnx": "1.23.2"},
    verify_sizes=(4, 8),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "onnx"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"abc")
    write_manifest(folder, MANIFEST)
    return folder


def test_it_is_read_as_it_was_written(folder):
    assert read_manifest(folder) == MANIFEST


def test_one_of_an_earlier_version_cannot_verify(folder):
    values = json.loads((folder / "anynode.json").read_text())
    del values["verify_sizes"]
    (folder / "anynode.json").write_text(json.dumps(values))
    assert read_manifest(folder) == replace(MANIFEST, verify_sizes=())


def test_an_entry_that_is_missing_is_refused(folder):
    values = json.loads((folder / "anynode.json").read_text())
    del values["head_dim"]
    (folder / "anynode.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"a wrong anynode\.json"):
        read_manifest(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format_version": 1}'])
def test_what_is_no_manifest_is_refused_with_the_way_out(folder, text):
    (folder / "anynode.json").write_text(text)
    with pytest.raises(ConfigError, match=f"run `anynode convert {folder.parent}`"):
        read_manifest(folder)


def test_an_unknown_entry_is_refused(folder):
    values = json.loads((folder / "anynode.json").read_text())
    (folder / "anynode.json").write_text(json.dumps(values | {"surprise": 1}))
    with pytest.raises(ConfigError, match=r"a wrong anynode\.json"):
        read_manifest(folder)


@pytest.mark.parametrize("files", [{"model.onnx": 4}, {"other": 1}])
def test_a_file_that_is_missing_or_of_another_size_is_refused(folder, files):
    write_manifest(folder, replace(MANIFEST, files=files))
    with pytest.raises(ConfigError, match="missing or cut short"):
        read_manifest(folder)
