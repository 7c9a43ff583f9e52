"""Settings of the llama_cpp engine are checked without its library; tests/llama_cpp runs it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from serving.engine import create_engine
from serving.errors import ConfigError
from serving.types import EngineSettings

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: .* not as bfloat16; leave it out"),
        ({"engine_kwargs": {"gguf_fil": "a"}}, r"gguf_fil: .*did you mean 'gguf_file'"),
        (
            {"engine_kwargs": {"n_ctx": 1}},
            "no such option; it has gguf_file, kv_type, batch_invariant",
        ),
        ({"engine_kwargs": {"kv_type": "q4_0"}}, "no 'q4_0'; set it to f16 or q8_0"),
        ({"engine_kwargs": {"gguf_file": 1}}, "gguf_file: 1 is not a name"),
        ({"engine_kwargs": {"batch_invariant": "yes"}}, "'yes' is not true or false"),
        ({"max_num_seqs": 256}, "batch_size: .* at most 255 .* lower it"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, words):
    with pytest.raises(ConfigError, match=words):
        create_engine("llama_cpp", EngineSettings(Path(), **changes))


def test_settings_are_checked_without_the_library():
    program = (
        "import sys; from pathlib import Path; from serving.engine import create_engine; "
        "from serving.types import EngineSettings; "
        "create_engine('llama_cpp', EngineSettings(Path(), data_type='auto')); "
        "print('llama_cpp' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_missing_library_is_said_with_the_way_to_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    monkeypatch.delitem(sys.modules, "serving.engines.llama_cpp_library", raising=False)
    engine = create_engine("llama_cpp", EngineSettings(Path()))
    with pytest.raises(ConfigError, match=r"needs llama-cpp-python.*requirements/llama-cpp\.txt"):
        asyncio.run(engine.load())
