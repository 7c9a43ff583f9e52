"""A conversion belongs to a checkpoint's content, whatever its path and its files' dates."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from serving.conversion.provenance import PROVENANCE_FILE, is_made_of, write_provenance

LIBRARIES = ("numpy",)


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "one" / "model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(1000))
    (folder / "made").mkdir()
    write_provenance(folder / "made", folder, "int8", LIBRARIES)
    return folder


def is_current(model, data_type="int8", libraries=LIBRARIES):
    return is_made_of(model / "made", model, data_type, libraries)


def test_it_is_its_own(model):
    assert is_current(model)
    (model / "README.md").write_text("what nobody reads")
    assert is_current(model)


def test_another_way_is_another_conversion(model):
    assert not is_current(model, "int4")
    assert not is_current(model, libraries=("numpy", "pytest"))
    noted = json.loads((model / "made" / PROVENANCE_FILE).read_text())
    noted["made_with"]["numpy"] = "0.1"
    (model / "made" / PROVENANCE_FILE).write_text(json.dumps(noted))
    assert not is_current(model)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_changed_file_is_another_checkpoint(model, name):
    content = bytearray((model / name).read_bytes())
    content[1] ^= 1  # of the same size
    (model / name).write_bytes(content)
    os.utime(model / name, ns=(1, 1))
    assert not is_current(model)


def test_a_file_more_or_less_is_another_checkpoint(model):
    (model / "tokenizer.json").write_text("{}")
    assert not is_current(model)
    (model / "tokenizer.json").unlink()
    (model / "config.json").unlink()
    assert not is_current(model)


def test_a_copy_is_the_same_checkpoint(model, tmp_path):
    copy = tmp_path / "two" / "another-name"
    shutil.copytree(model, copy, copy_function=shutil.copyfile)
    os.utime(copy / "model.safetensors", ns=(1, 1))
    assert is_current(copy)


def test_two_paths_that_end_alike_are_two_checkpoints(model, tmp_path):
    """What was made of one does not pass for the other's."""
    other = tmp_path / "two" / "model"
    shutil.copytree(model, other)
    (other / "model.safetensors").write_bytes(bytes([1]) * 1000)
    os.utime(other / "model.safetensors", ns=(1, 1))
    assert is_current(model)
    assert not is_current(other)


def test_without_the_weights_it_is_taken_at_its_word(model):
    (model / "model.safetensors").unlink()
    assert is_current(model)
    assert not is_current(model, "int4")


@pytest.mark.parametrize("text", ["", "{", None])
def test_a_folder_that_says_nothing_was_made_of_nothing(model, text):
    path = model / "made" / PROVENANCE_FILE
    path.unlink() if text is None else path.write_text(text)
    assert not is_current(model)
