"""`anynode`: the command line. Every user mistake is one sentence on stderr and exit code 2."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version

import typer
from pydantic import ValidationError

from inference.cli.bench.app import app as bench
from inference.cli.check import check
from inference.cli.convert import convert
from inference.cli.migrate import migrate
from inference.cli.plan import plan
from inference.cli.serve import serve
from inference.local.config import first_reason
from serving.errors import ConfigError

app = typer.Typer(
    name="anynode",
    help="One OpenAI-compatible endpoint over whatever machines you have.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(serve)
app.command()(convert)
app.command()(check)
app.command()(migrate)
app.command()(plan)
app.add_typer(bench)


@app.command()
def version() -> None:
    """Print the version."""
    try:
        print(installed_version("anynode"))
    except PackageNotFoundError:
        print("unknown: run from a folder, not installed")


def main() -> None:
    """Entry point of the `anynode` script."""
    try:
        app()
    except ConfigError as error:
        fail(error.message)
    except ValidationError as error:
        fail(first_reason(error))


def fail(sentence: str) -> None:
    print(f"anynode: {sentence}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
