"""`anynode convert` for real: its own environments, the builders, our passes, the final check.

Slow the first time, because each converter's set (torch and more) is installed below `.cache`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from serving.conversion.manifest import DATA_FILE, GRAPH_FILE, OWN_GRAPH_FILE

ROOT = Path(__file__).parents[2]
DEMO_MODEL = ROOT / "models" / "anynode-demo"
CONVERSIONS = ("onnx", "openvino")


def convert(*arguments):
    command = [sys.executable, "-m", "inference.cli.main", "convert", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path):
    """The checkpoint alone."""
    copy = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, copy, ignore=shutil.ignore_patterns(*CONVERSIONS))
    return copy


@pytest.mark.timeout(1200)
def test_the_bundled_graph_is_the_conversion_of_the_bundled_checkpoint(copy):
    done = convert(copy)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 greedy answers equal" in done.stdout
    made, bundled = copy / "onnx", DEMO_MODEL / "onnx"
    assert manifest(made) == manifest(bundled)
    for file in (GRAPH_FILE, OWN_GRAPH_FILE):
        assert graph(made / file) == graph(bundled / file)
    assert (made / DATA_FILE).read_bytes() == (bundled / DATA_FILE).read_bytes()


@pytest.mark.timeout(1200)
def test_the_bundled_openvino_model_is_the_conversion_of_the_bundled_checkpoint(copy):
    done = convert(copy, "--engine", "openvino")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 greedy answers equal" in done.stdout
    made, bundled = copy / "openvino", DEMO_MODEL / "openvino"
    assert manifest(made) == manifest(bundled)
    weights = "openvino_model.bin"
    assert (made / weights).read_bytes() == (bundled / weights).read_bytes()


def graph(path):
    """The graph without the builder's own version, which names the build of its wheel."""
    model = onnx.load(path, load_external_data=False)
    model.ClearField("producer_version")
    return model.SerializeToString(deterministic=True)


def manifest(folder):
    return json.loads((folder / "anynode.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--engine", "openvin"], "did you mean 'openvino'"),
        (["--data-type", "int3"], "not int3"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(copy, arguments, words):
    done = convert(copy, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1


def test_cut_weights_are_said_before_anything_is_loaded(copy):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    done = convert(copy)
    assert done.returncode == 1
    assert "model.safetensors is cut short" in done.stderr
    assert not (copy / "onnx").exists()
