"""`python -m serving.conversion MODEL_DIR [--engine NAME] [--data-type NAME] [--output DIR]`

What the command line runs in the environment of the engine's converter. Each stage is a line.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from serving.conversion.converters import find_converter
from serving.conversion.manifest import converted_folder
from serving.conversion.request import Converted, Request
from serving.cpu.engines import actual_engine
from serving.errors import ConfigError


def main() -> int:
    arguments = _parser().parse_args()
    try:
        engine = actual_engine(arguments.engine, arguments.model_dir)
        converter, data_type = find_converter(engine, arguments.data_type)
        default = converted_folder(arguments.model_dir, arguments.engine, data_type)
        converted = converter.load()(
            Request(
                model_dir=arguments.model_dir,
                target=arguments.output or default,
                data_type=data_type,
                trust_remote_code=arguments.trust_remote_code,
            ),
            lambda stage: print(f"stage: {stage}", flush=True),
        )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _report(converted)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.conversion",
        description="Turn a Hugging Face checkpoint into what an engine loads.",
    )
    parser.add_argument("model_dir", type=Path, help="folder with config.json and weights")
    parser.add_argument("--engine", default="onnx")
    parser.add_argument("--data-type")
    parser.add_argument("--output", type=Path, help="default: beside the checkpoint's files")
    parser.add_argument("--trust-remote-code", action="store_true")
    return parser


def _report(converted: Converted) -> None:
    size = sum(path.stat().st_size for path in converted.folder.rglob("*") if path.is_file())
    how = "made by another converter meanwhile"
    if converted.deviation is not None:
        how = str(converted.deviation)
        for line in converted.deviation.different_answers():
            print(line)
    print(f"{converted.folder}: {size / 1e6:,.1f} MB, {how}")


if __name__ == "__main__":
    sys.exit(main())
