"""How far vLLM's start is, and why it failed: read from a log that all its processes write.

vLLM reads weights in processes of its own. When one of them fails, the process that started it
hears only that it did ("See root cause above"), and while they work it hears nothing. Their log
tells both, so for the time of the start it also goes to a file of ours. The wording of its lines
is that of vLLM 0.27 to 0.33; a line that is worded otherwise costs a stage's name, nothing else.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from serving.processes import descendants

CONFIG_VARIABLE = "VLLM_LOGGING_CONFIG_PATH"
LEVEL_VARIABLE = "VLLM_LOGGING_LEVEL"
MAX_LOG_BYTES = 4 * 1024 * 1024  # vLLM's processes go on writing after the start

STARTING = "starting vLLM's processes"
READING = "reading weights"
# How a line of the log begins, and what vLLM is busy with from then on.
STAGES = (
    ("Starting to load model", READING),
    ("Loading weights took", "preparing the model"),
    ("Using cache directory", "compiling the model"),
    ("Dynamo bytecode transform time", "compiling the model"),
    ("torch.compile took", "measuring memory"),
    ("Available KV cache memory", "making the KV cache"),
    ("GPU KV cache size", "capturing graphs"),
    ("CPU KV cache size", "warming up"),
    ("Graph capturing finished", "warming up"),
    ("init engine", "opening the API"),
)
RECORD = re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
FAILURE = "failed to start."
RAISED = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): .")


class StartupLog:
    """A log of one start, from when it is made until `close`.

    Made before vLLM is imported, here or in its processes: they take their logging from the
    environment when they are. An operator's own logging configuration is left alone, and then
    there is nothing to read here.
    """

    def __init__(self, model: Path, *, on_this_node: bool = True) -> None:
        """`model`: the folder of the checkpoint that is read. `on_this_node`: all processes are;
        vLLM hands its variables on to those elsewhere, which would not find our file and fail.
        """
        self._model = model
        self._folder = tempfile.TemporaryDirectory(prefix="anynode-vllm-")
        self._log = Path(self._folder.name) / "start.log"
        if on_this_node and CONFIG_VARIABLE not in os.environ:
            config = Path(self._folder.name) / "logging.json"
            config.write_text(json.dumps(logging_config(self._log)))
            os.environ[CONFIG_VARIABLE] = str(config)

    def progress(self) -> str:
        """What vLLM is doing; for weights in several files, which of them it reads."""
        stage = stage_of(self._lines())
        if stage != READING:
            return stage
        shards = sorted(path.name for path in self._model.glob("*.safetensors"))
        at = furthest(shards, "\n".join(map(_mapped_files, descendants(os.getpid()))))
        return f"{stage}, file {at} of {len(shards)}" if at and len(shards) > 1 else stage

    def cause(self) -> str | None:
        """Why the first process that failed did so, in the words of its exception."""
        return cause_of(self._lines())

    def clear(self) -> None:
        """Forget what has been written, before another try."""
        self._log.write_text("")

    def close(self) -> None:
        """Remove the files; safe to call twice."""
        if os.environ.get(CONFIG_VARIABLE, "").startswith(self._folder.name):
            del os.environ[CONFIG_VARIABLE]
        self._folder.cleanup()

    def _lines(self) -> list[str]:
        try:
            return self._log.read_text(errors="replace").splitlines()
        except FileNotFoundError:  # nothing has been said yet
            return []


def logging_config(log: Path) -> dict[str, Any]:
    """vLLM's usual logging, and all of it once more in `log`."""
    level = os.environ.get(LEVEL_VARIABLE, "INFO").upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "console": {
                "format": "%(levelname)s %(asctime)s [%(filename)s:%(lineno)d] %(message)s",
                "datefmt": "%m-%d %H:%M:%S",
            },
            "log": {"format": "%(levelname)s %(message)s"},
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "console",
                "level": level,
            },
            "log": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "log",
                "level": "INFO",
                "filename": str(log),
                "maxBytes": MAX_LOG_BYTES,
                "backupCount": 1,
                "delay": True,
            },
        },
        "loggers": {
            "vllm": {
                "handlers": ["console", "log"],
                "level": level if level == "DEBUG" else "INFO",
                "propagate": False,
            }
        },
    }


def stage_of(lines: list[str]) -> str:
    """The stage that the last telling line began."""
    for line in reversed(lines):
        message = RECORD.sub("", line, count=1)
        for words, stage in STAGES:
            if message.startswith(words):
                return stage
    return STARTING


def cause_of(lines: list[str]) -> str | None:
    """The last exception of the first traceback that ended a process; None if there is none."""
    failed = next((at for at, line in enumerate(lines) if line.endswith(FAILURE)), len(lines))
    cause = None
    for line in lines[failed + 1 :]:
        if RECORD.match(line):
            break
        if RAISED.match(line):
            cause = line.partition(": ")[2].strip()
    return cause


def furthest(names: list[str], mapped: str) -> int:
    """The place, counted from 1, of the last of `names` in `mapped`; 0 when none is there."""
    return max((at for at, name in enumerate(names, 1) if name in mapped), default=0)


def _mapped_files(pid: int) -> str:
    """The memory map of a process: safetensors files are mapped while they are read."""
    try:
        return Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has ended, or is not ours to look into
        return ""
