"""Every rule of inference.check: a bad file, the line, and what it says."""

from __future__ import annotations

import pytest

from inference.check.files import check_files, check_text
from inference.check.rules import RULES
from tests.inference.check.bad_files import BAD_FILES, DATA, Bad


@pytest.mark.parametrize("name", ["serve.yaml", "gpu.yaml", "cpu.yaml"])
def test_a_right_file_is_left_in_peace(name: str) -> None:
    assert check_files([DATA / name]) == []


@pytest.mark.parametrize("bad", BAD_FILES, ids=str)
def test_a_mistake_is_found_in_its_line(bad: Bad) -> None:
    findings = check_text(bad.text, bad.file)
    found = [each for each in findings if each.rule == bad.rule and each.line == bad.line]
    assert found, [(bad.line, each) for each in findings]
    assert any(bad.says in each.sentence for each in found), found
    assert {each.severity for each in found} == {RULES[bad.rule].severity}
    assert {each.rule for each in findings} == {bad.rule} | bad.also, findings
    for each in findings:
        assert "\n" not in each.sentence
        assert each.fix


def test_every_rule_has_a_bad_file() -> None:
    untried = set(RULES) - {each.rule for each in BAD_FILES}
    assert untried == {"crd-missing"}  # a matter of the machine: test_crd.py
