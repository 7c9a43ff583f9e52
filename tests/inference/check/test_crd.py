"""inference.check.crd: KubeRay's schema is there, or its absence is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.check import crd
from inference.check.files import check_files
from serving.errors import ConfigError
from tests.inference.check.bad_files import DATA


def test_the_schema_is_here() -> None:
    """Without it most of what is tested here would not be: this fails and is not skipped."""
    path = crd.find_crd()
    assert path is not None, f"set {crd.VARIABLE}, or put it at {crd.BESIDE}"
    assert crd.validator(path) is crd.validator(path)  # closed and compiled once


def test_without_it_one_line_says_so_and_all_else_is_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(crd.VARIABLE, raising=False)
    monkeypatch.setattr(crd, "BESIDE", tmp_path / "none")
    (only,) = check_files([DATA / "gpu.yaml"])
    assert (only.rule, only.severity) == ("crd-missing", "warning")
    assert crd.VARIABLE in only.fix
    rules = {each.rule for each in check_files([DATA / "cluster_2023.yaml"])}
    assert {"crd-missing", "fleet-fit", "misplaced-key", "unready-workers"} <= rules


def test_a_place_that_is_named_must_be_right(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(crd.VARIABLE, str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match=crd.VARIABLE):
        crd.find_crd()
    other = tmp_path / "other.yaml"
    other.write_text("spec: {versions: []}\n")
    with pytest.raises(ConfigError, match="no CRD of RayService"):
        crd.validator(other)
