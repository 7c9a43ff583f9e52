"""Settings of the llama_cpp engine are checked without its library; tests/llama_cpp runs it."""

from __future__ import annotations

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
        ({"engine_kwargs": {"n_ctx": 1}}, "no such option; it has gguf_file, kv_type"),
        ({"engine_kwargs": {"kv_type": "q4_0"}}, "no 'q4_0'; set it to f16 or q8_0"),
        ({"engine_kwargs": {"gguf_file": 1}}, "1 is no text"),
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
