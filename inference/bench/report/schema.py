"""The JSON Schema of a report, for programs in other languages.

`python -m inference.bench.report.schema > docs/bench-report.schema.json` writes it anew.
"""

from __future__ import annotations

import json
from typing import Any

from inference.bench.report.model import Report

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Of what `files.write` writes."""
    return {"$schema": DIALECT, **Report.model_json_schema(mode="serialization")}


def text() -> str:
    """As the committed file has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
