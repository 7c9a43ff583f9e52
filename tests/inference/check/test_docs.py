"""docs/check.md lists every rule, as the code has it."""

from __future__ import annotations

import re
from pathlib import Path

from inference.check.rules import RULES

DOCS = (Path(__file__).parents[3] / "docs" / "check.md").read_text()


def test_every_rule_is_in_the_docs() -> None:
    _, _, tables = DOCS.partition("## Rules\n")
    listed = {}
    for family in tables.split("\n### ")[1:]:
        name = family.splitlines()[0]
        for rule, severity, meaning in re.findall(r"^\| `(.+)` \| (\w+) \| (.+) \|$", family, re.M):
            listed[rule] = (name, severity, meaning)
    assert listed == {
        name: (rule.family, rule.severity, rule.meaning) for name, rule in RULES.items()
    }
