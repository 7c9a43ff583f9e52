"""`anynode convert`: a checkpoint becomes what an engine loads.

Converters need torch, which serving does not, and each its own versions of transformers: they run
in environments of their own, made beside the project in `.cache`, which can be deleted at any time.
"""

from __future__ import annotations

import os
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from serving.conversion.converters import CONVERTERS, Converter, find_converter
from serving.cpu.engines import actual_engine
from serving.errors import ConfigError
from serving.model_source import PACKAGES_ROOT, fetch_model

ENVIRONMENTS = PACKAGES_ROOT / ".cache"
REQUIREMENTS = PACKAGES_ROOT / "requirements"
STAGE = "stage: "  # how `serving.conversion` begins a line that names one


def convert(
    model: Annotated[
        str, typer.Argument(help="Folder of a Hugging Face checkpoint, or owner/name on the hub.")
    ],
    engine: Annotated[
        str, typer.Option("--engine", help=f"Who will load it: {', '.join(CONVERTERS)}.")
    ] = "onnx",
    data_type: Annotated[
        str | None, typer.Option("--data-type", help="How weights are kept: int8, int4, …")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", help="Default: beside the checkpoint's files.")
    ] = None,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the checkpoint's own Python code.")
    ] = False,
) -> None:
    """Convert a checkpoint to what an engine loads (downloads torch once)."""
    find_converter(engine, None)  # a wrong name is said before anything is fetched
    model_dir = fetch_model(model, token=os.environ.get("HF_TOKEN"))
    converter, data_type = find_converter(actual_engine(engine, model_dir), data_type)
    if not (model_dir / "config.json").is_file():
        raise ConfigError(f"{model_dir} holds no config.json, so it is no checkpoint's folder")
    command = [str(environment(converter)), "-m", "serving.conversion", str(model_dir)]
    command += ["--engine", engine, "--data-type", data_type]
    if output is not None:
        command += ["--output", str(output.absolute())]
    if trust_remote_code:
        command.append("--trust-remote-code")
    raise typer.Exit(run(command))


def environment(converter: Converter) -> Path:
    """The Python that has the converter installed; made on first use, and after a change."""
    requirements = REQUIREMENTS / f"{converter.requirements}.txt"
    if not requirements.is_file():
        raise ConfigError(f"{requirements} is missing; convert from a clone of the repository")
    folder = ENVIRONMENTS / converter.requirements
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    wanted = requirements.read_text()
    if not installed.is_file() or installed.read_text() != wanted:
        typer.echo(f"installing what {requirements.name} names into {folder}", err=True)
        venv.create(folder, with_pip=True, clear=True)
        # The file names everything; what libraries ask for beyond it, they do not need here.
        install = [str(python), "-m", "pip", "install", "--no-deps", "-r", str(requirements)]
        if subprocess.run(install, check=False).returncode != 0:
            raise ConfigError("the converter could not be installed; see pip's words above")
        installed.write_text(wanted)
    return python


def run(command: list[str]) -> int:
    """Run a conversion, showing the stage it is at and for how long; its exit status."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with (
        subprocess.Popen(command, cwd=PACKAGES_ROOT, stdout=subprocess.PIPE, text=True) as process,
        Progress(*columns, console=console, transient=not console.is_terminal) as progress,
    ):
        for line in _lines(process, progress):
            progress.stop()
            typer.echo(line)
    return process.returncode


def _lines(process: subprocess.Popen[str], progress: Progress) -> Iterator[str]:
    """What it says that names no stage; stages become rows of the progress display."""
    assert process.stdout is not None
    current = None
    for line in process.stdout:
        if not line.startswith(STAGE):
            yield line.rstrip("\n")
            continue
        if current is not None:
            progress.update(current, total=1, completed=1)
        current = progress.add_task(line.removeprefix(STAGE).strip(), total=None)
