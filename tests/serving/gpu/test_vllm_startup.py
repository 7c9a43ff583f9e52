"""serving.gpu.vllm_startup: what vLLM's log tells of its start."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from serving.gpu.vllm_startup import (
    CONFIG_VARIABLE,
    READING,
    STARTING,
    StartupLog,
    cause_of,
    furthest,
    logging_config,
    stage_of,
)

FAILED = """INFO Starting to load model /m...
ERROR WorkerProc failed to start.
Traceback (most recent call last):
  File "worker.py", line 1, in load
    raise KeyError(name)
KeyError: 'model.embed'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "worker.py", line 3, in load
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
INFO Worker is ending
ERROR EngineCore failed to start.
Traceback (most recent call last):
Exception: WorkerProc initialization failed due to an exception in a background process.
"""


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("INFO Initializing a V1 LLM engine", STARTING),
        ("INFO Starting to load model /m...", READING),
        ("INFO Loading weights took 0.02 seconds", "preparing the model"),
        ("INFO Dynamo bytecode transform time: 3.2 s", "compiling the model"),
        ("INFO Available KV cache memory: 3 GiB", "making the KV cache"),
        ("INFO GPU KV cache size: 5 tokens", "capturing graphs"),
        ("WARNING something else", STARTING),
    ],
)
def test_the_last_telling_line_names_the_stage(line, stage):
    assert stage_of([line, "INFO a line that tells nothing"]) == stage


def test_a_later_stage_replaces_an_earlier_one():
    lines = ["INFO Starting to load model /m...", "INFO CPU KV cache size: 9 tokens"]
    assert stage_of(lines) == "warming up"
    assert stage_of([]) == STARTING


def test_the_cause_is_that_of_the_process_that_failed_first():
    assert cause_of(FAILED.splitlines()) == "CUDA out of memory. Tried to allocate 2.00 GiB."
    assert cause_of(["INFO all is well", "ValueError: of no process that failed"]) is None


def test_weights_are_as_far_as_their_last_file_in_use():
    names = ["a-1.safetensors", "a-2.safetensors", "a-3.safetensors"]
    assert furthest(names, "7f 00 /m/a-1.safetensors\n7f 01 /m/a-2.safetensors") == 2
    assert furthest(names, "/m/b.safetensors") == 0


def test_other_processes_write_into_it_and_it_leaves_nothing(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    startup = StartupLog(tmp_path)
    config = Path(os.environ[CONFIG_VARIABLE])
    assert startup.progress() == STARTING
    assert startup.cause() is None
    code = (
        "import json, logging.config, os\n"
        f"logging.config.dictConfig(json.load(open(os.environ['{CONFIG_VARIABLE}'])))\n"
        "log = logging.getLogger('vllm.engine')\n"
        "log.info('Starting to load model')\n"
        "try:\n    raise ValueError('no room')\n"
        "except ValueError:\n    log.exception('EngineCore failed to start.')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "EngineCore failed to start" in done.stderr  # the console keeps its lines
    assert startup.progress() == READING
    assert startup.cause() == "no room"
    startup.clear()
    assert startup.cause() is None
    startup.close()
    startup.close()
    assert CONFIG_VARIABLE not in os.environ
    assert not config.parent.exists()


def test_the_file_being_read_is_seen_in_a_childs_memory(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    for name in ("w-1.safetensors", "w-2.safetensors", "w-3.safetensors"):
        (tmp_path / name).write_bytes(b"x" * mmap.PAGESIZE)
    startup = StartupLog(tmp_path)
    code = (
        "import json, logging.config, mmap, os, sys\n"
        f"logging.config.dictConfig(json.load(open(os.environ['{CONFIG_VARIABLE}'])))\n"
        "logging.getLogger('vllm').info('Starting to load model')\n"
        f"file = open({str(tmp_path / 'w-2.safetensors')!r}, 'rb')\n"
        "kept = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "print('mapped', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"mapped\n"
        assert startup.progress() == f"{READING}, file 2 of 3"
        child.stdin.close()
    assert startup.progress() == READING
    startup.close()


def test_an_operators_own_logging_is_left_alone(monkeypatch, tmp_path: Path):
    monkeypatch.setenv(CONFIG_VARIABLE, "/their/own.json")
    startup = StartupLog(tmp_path)
    assert os.environ[CONFIG_VARIABLE] == "/their/own.json"
    assert (startup.progress(), startup.cause()) == (STARTING, None)
    startup.close()
    assert os.environ[CONFIG_VARIABLE] == "/their/own.json"


def test_processes_on_other_nodes_are_not_sent_to_a_file_of_ours(monkeypatch, tmp_path: Path):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    startup = StartupLog(tmp_path, on_this_node=False)
    assert CONFIG_VARIABLE not in os.environ
    assert (startup.progress(), startup.cause()) == (STARTING, None)
    startup.close()


@pytest.mark.parametrize(("level", "kept"), [("DEBUG", "DEBUG"), ("WARNING", "INFO")])
def test_the_console_says_as_much_as_it_was_told(monkeypatch, tmp_path: Path, level, kept):
    monkeypatch.setenv("VLLM_LOGGING_LEVEL", level)
    config = logging_config(tmp_path / "log")
    assert config["handlers"]["console"]["level"] == level
    assert config["loggers"]["vllm"]["level"] == kept
