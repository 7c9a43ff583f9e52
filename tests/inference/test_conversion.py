"""`anynode convert` for real: its own environment, the builder, our passes, the final check.

Slow the first time, because the conversion set (torch and more) is installed into `.cache/convert`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from serving.conversion.manifest import DATA_FILE, GRAPH_FILE

ROOT = Path(__file__).parents[2]
DEMO_MODEL = ROOT / "models" / "anynode-demo"


@pytest.mark.timeout(1200)
def test_the_bundled_graph_is_the_conversion_of_the_bundled_checkpoint(tmp_path):
    copy = tmp_path / "model"
    shutil.copytree(DEMO_MODEL, copy, ignore=shutil.ignore_patterns("onnx"))
    command = [sys.executable, "-m", "inference.cli.main", "convert", str(copy)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made, bundled = copy / "onnx", DEMO_MODEL / "onnx"
    assert manifest(made) == manifest(bundled)
    assert graph(made) == graph(bundled)
    assert (made / DATA_FILE).read_bytes() == (bundled / DATA_FILE).read_bytes()


def graph(folder):
    """The graph without the builder's own version, which names the build of its wheel."""
    model = onnx.load(folder / GRAPH_FILE, load_external_data=False)
    model.ClearField("producer_version")
    return model.SerializeToString(deterministic=True)


def manifest(folder):
    return json.loads((folder / "anynode.json").read_text())
