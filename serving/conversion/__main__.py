"""`python -m serving.conversion MODEL_DIR [--output DIR]`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from serving.conversion.genai import check_environment
from serving.errors import ConfigError
from serving.sentence_encoder import is_sentence_encoder

DATA_TYPES = ("int8", "float32")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.conversion",
        description="Turn a Hugging Face checkpoint into what the default engine loads.",
    )
    parser.add_argument("model_dir", type=Path, help="folder with config.json and weights")
    parser.add_argument("--output", type=Path, help="default: onnx/ inside MODEL_DIR")
    parser.add_argument("--data-type", choices=DATA_TYPES, help="of a sentence encoder")
    parser.add_argument("--trust-remote-code", action="store_true")
    arguments = parser.parse_args()
    try:
        check_environment()
        converted = _converted(arguments)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in converted.folder.iterdir())
    print(f"{converted.folder}: {size / 1e6:,.1f} MB, {converted.deviation}")
    return 0


def _converted(arguments: argparse.Namespace) -> Any:
    from serving.conversion.checkpoint import convert  # they need what was checked for
    from serving.conversion.encoder import convert_encoder

    options = {"output": arguments.output, "trust_remote_code": arguments.trust_remote_code}
    if is_sentence_encoder(arguments.model_dir):
        return convert_encoder(arguments.model_dir, data_type=arguments.data_type, **options)
    if arguments.data_type is not None:
        raise ConfigError("--data-type: only a sentence encoder has a choice; leave it out")
    return convert(arguments.model_dir, **options)


if __name__ == "__main__":
    sys.exit(main())
