"""serving.gpu.reserved_gpus: a replica to which Ray gave no GPU takes its own, and no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile

import pytest


@pytest.fixture(scope="module")
def seen():
    # Ray's sockets have long names of their own, so its folder needs a short one.
    with tempfile.TemporaryDirectory(prefix="gpus-", dir="/tmp") as folder:
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        done = subprocess.run(
            [sys.executable, "-m", "tests.serving.gpu.reserving", folder],
            env={**inherited, "RAY_AUTH_MODE": "disabled", "HOME": folder},
            stdout=subprocess.PIPE,
            text=True,
            timeout=120,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


def test_each_sees_the_gpu_that_is_its_own(seen):
    assert {seen["first"], seen["half"]} == {"0", "1"}
    assert seen["free"] == 0.5


def test_what_is_not_free_is_told_with_the_fix(seen):
    assert "add num_gpus: 1 to it" in seen["too many"]


def test_what_no_node_has_is_told_with_the_fix(seen):
    assert "add num_gpus: 3 to it" in seen["never"]


def test_gpus_come_back_when_the_replica_has_gone(seen):
    assert seen["again"] == seen["first"]
