"""inference.check.report: the same findings for people, programs and GitHub."""

from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from inference.check import report
from inference.check.finding import Finding

BAD = Finding("a,b.yml", 3, "value", "error", "port: 100% [wrong]", "write 8000")
DOUBTFUL = Finding("a,b.yml", 7, "claim", "warning", "x: odd", "look")


def text(findings: list[Finding]) -> str:
    out = StringIO()
    report.print_text(findings, Console(file=out, width=40))
    return out.getvalue()


def test_people_read_line_rule_and_fix() -> None:
    lines = text([BAD, DOUBTFUL]).splitlines()
    assert lines[0] == "a,b.yml"
    assert lines[1].split() == ["3", "error", "port:", "100%", "[wrong]", "[value]"]
    assert lines[2].strip() == "→ write 8000"
    assert lines[-1] == "1 error and 1 warning"
    assert text([]).strip() == "nothing to complain about"


def test_programs_read_counts_and_fields() -> None:
    read = json.loads(report.as_json([BAD, DOUBTFUL]))
    assert (read["num_errors"], read["num_warnings"]) == (1, 1)
    assert Finding(**read["findings"][0]) == BAD


def test_github_shows_them_beside_their_lines() -> None:
    first, second = report.as_github([BAD, DOUBTFUL]).splitlines()
    assert first == ("::error file=a%2Cb.yml,line=3,title=value::port: 100%25 [wrong]; write 8000")
    assert second.startswith("::warning ")
