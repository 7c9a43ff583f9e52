"""`anynode convert`: a checkpoint becomes an ONNX graph, in an environment made for it alone.

Conversion needs torch, which serving does not; its pinned set lives beside the project in
`.cache/convert` and can be deleted at any time.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import Annotated

import typer

from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT

ENVIRONMENT = PACKAGES_ROOT / ".cache" / "convert"
REQUIREMENTS = PACKAGES_ROOT / "requirements" / "convert.txt"


def convert(
    model_dir: Annotated[Path, typer.Argument(help="Folder of a Hugging Face checkpoint.")],
    data_type: Annotated[
        str | None,
        typer.Option(
            help="int8 or float32, of a sentence encoder. [dim](default: int8 where it is near "
            "enough to the checkpoint)[/dim]",
            show_default=False,
        ),
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the checkpoint's own Python code.")
    ] = False,
) -> None:
    """Convert a checkpoint to the ONNX graph that CPUs serve (downloads torch once)."""
    if not (model_dir / "config.json").is_file():
        raise ConfigError(f"{model_dir} holds no config.json, so it is no checkpoint's folder")
    python = environment()
    command = [str(python), "-m", "serving.conversion", str(model_dir.resolve())]
    if data_type is not None:
        command += ["--data-type", data_type]
    if trust_remote_code:
        command.append("--trust-remote-code")
    done = subprocess.run(command, cwd=PACKAGES_ROOT, check=False)
    raise typer.Exit(done.returncode)


def environment() -> Path:
    """The Python that has the conversion set installed; made on first use, and after a change."""
    if not REQUIREMENTS.is_file():
        raise ConfigError(f"{REQUIREMENTS} is missing; convert from a clone of the repository")
    python = ENVIRONMENT / "bin" / "python"
    installed = ENVIRONMENT / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    if not installed.is_file() or installed.read_text() != wanted:
        print(f"installing the conversion set into {ENVIRONMENT}", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        install = [str(python), "-m", "pip", "install", "--requirement", str(REQUIREMENTS)]
        if subprocess.run(install, check=False).returncode != 0:
            raise ConfigError("the conversion set could not be installed; see pip's words above")
        installed.write_text(wanted)
    return python
