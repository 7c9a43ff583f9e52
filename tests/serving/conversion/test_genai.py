"""How the builder is called, with a stand-in for the builder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from serving.conversion import genai
from serving.errors import ConfigError

DESCRIBED = {
    "context_length": 4096,
    "decoder": {
        "filename": "model.onnx",
        "head_size": 64,
        "num_hidden_layers": 4,
        "num_key_value_heads": 2,
    },
    "eos_token_id": [2, 3],
    "vocab_size": 2048,
}


@pytest.fixture
def builder(monkeypatch):
    """Says what the next call returns, and keeps what it was called with."""
    calls: list[list[str]] = []

    def stand_in(returncode: int = 0, stderr: str = "", described: object = None):
        def run(command, **_):
            calls.append(command)
            out = Path(command[command.index("-o") + 1])
            out.mkdir()
            (out / "genai_config.json").write_text(json.dumps({"model": described}))
            return subprocess.CompletedProcess(command, returncode, "", stderr)

        monkeypatch.setattr(genai.subprocess, "run", run)
        return calls

    return stand_in


def test_what_the_builder_says_is_understood(builder, tmp_path):
    calls = builder(described=DESCRIBED)
    genai.build_fp32(tmp_path, tmp_path / "fp32")
    built = genai.describe(tmp_path / "fp32")
    assert built.graph == tmp_path / "fp32" / "model.onnx"
    assert (built.num_layers, built.num_kv_heads, built.head_dim) == (4, 2, 64)
    assert (built.context_length, built.eos_token_ids) == (4096, (2, 3))
    assert "hf_remote=false" in calls[0]


def test_one_end_of_sequence_token_is_a_list_of_one(builder, tmp_path):
    builder(described=DESCRIBED | {"eos_token_id": 2})
    genai.build_fp32(tmp_path, tmp_path / "fp32")
    assert genai.describe(tmp_path / "fp32").eos_token_ids == (2,)


def test_a_checkpoint_the_builder_does_not_know(builder, tmp_path):
    builder(returncode=1, stderr="Traceback\nNotImplementedError: no such model")
    with pytest.raises(ConfigError, match=r"NotImplementedError: no such model.*another engine"):
        genai.build_fp32(tmp_path, tmp_path / "fp32")


def test_an_environment_that_cannot_convert(monkeypatch):
    monkeypatch.setattr(genai, "NEEDED", ("numpy", "no_such_library"))
    with pytest.raises(ConfigError, match=r"needs no_such_library.*anynode convert MODEL_DIR"):
        genai.check_environment()
