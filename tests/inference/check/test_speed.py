"""A manifest of 500 lines is checked in less than a second, once Ray is imported."""

from __future__ import annotations

import time
from copy import deepcopy

import yaml

from inference.check import crd, ray_schema
from inference.check.files import check_text
from tests.inference.check.bad_files import DATA


def test_five_hundred_lines_in_a_second() -> None:
    manifest = yaml.safe_load((DATA / "cpu.yaml").read_text())
    groups = manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    groups += [{**deepcopy(groups[0]), "groupName": f"more-{number}"} for number in range(24)]
    text = yaml.safe_dump(manifest)
    assert len(text.splitlines()) >= 500
    crd.validator.cache_clear()
    ray_schema.validator.cache_clear()
    check_text("aplications: []", "import.yaml")  # imports Ray's schema
    began = time.process_time()  # the machine may be busy with other work
    check_text(text, "large.yaml")
    assert time.process_time() - began < 1.0
