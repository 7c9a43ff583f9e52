"""`python -m serving.conversion MODEL_DIR [--output DIR]`"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from serving.conversion.genai import check_environment
from serving.errors import ConfigError


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.conversion",
        description="Turn a Hugging Face checkpoint into what the default engine loads.",
    )
    parser.add_argument("model_dir", type=Path, help="folder with config.json and weights")
    parser.add_argument("--output", type=Path, help="default: onnx/ inside MODEL_DIR")
    parser.add_argument("--trust-remote-code", action="store_true")
    arguments = parser.parse_args()
    try:
        check_environment()
        from serving.conversion.checkpoint import convert  # needs what was checked for

        converted = convert(
            arguments.model_dir, arguments.output, trust_remote_code=arguments.trust_remote_code
        )
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in converted.folder.iterdir())
    print(f"{converted.folder}: {size / 1e6:,.1f} MB, {converted.deviation}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
