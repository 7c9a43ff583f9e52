"""The schema in docs/ is the model's, and what is written keeps to it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from inference.bench.report import files, schema
from inference.bench.report.model import Report
from tests.inference.bench.report import sample

ROOT = Path(__file__).parents[4]


def test_the_committed_schema_is_the_models() -> None:
    committed = (ROOT / "docs/bench-report.schema.json").read_text()
    command = "python -m inference.bench.report.schema > docs/bench-report.schema.json"
    assert committed == schema.text(), f"the model has changed: {command}"


@pytest.mark.parametrize(
    "report",
    [sample.sweep(), sample.compared(), sample.nothing_answered(), sample.report([])],
    ids=lambda report: report.title,
)
def test_reports_keep_to_the_schema(report: Report) -> None:
    jsonschema.validate(json.loads(files.to_json(report)), schema.json_schema())


def test_the_schema_refuses_what_no_report_has() -> None:
    wrong = {**json.loads(files.to_json(sample.single())), "titel": "x"}
    with pytest.raises(jsonschema.ValidationError, match="titel"):
        jsonschema.validate(wrong, schema.json_schema())
