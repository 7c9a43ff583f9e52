"""Ray's head is lost and comes back from Redis: through the other nodes no request is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.inference.manifest.committed import ROOT, fleet_named, plan_for
from tests.inference.rack import manifest
from tests.inference.rack.head_loss import MANIFEST, NUM_ANSWERS
from tests.inference.rack.network import OWN, refusal

PATIENCE_S = 900.0
MISSING = [name for name in ("redis-server", "ip", "unshare") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.timeout(PATIENCE_S + 60),
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux"),
    pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)} on this machine"),
]


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    if (why := refusal()) is not None:
        pytest.skip(f"no namespaces may be made here: {why}")
    with tempfile.TemporaryDirectory(prefix="rack-", dir="/tmp") as folder:
        log = Path(folder) / "errors.txt"
        with log.open("wb") as errors:
            done = subprocess.run(
                [*OWN, sys.executable, "-m", "tests.inference.rack.head_loss", folder],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                timeout=PATIENCE_S,
                check=False,
            )
        assert done.returncode == 0, log.read_text()[-4000:]
        yield json.loads(done.stdout.splitlines()[-1])


def test_no_request_through_the_workers_is_lost(told: dict[str, Any]) -> None:
    assert told["failures"] == {}
    assert min(told["answered_without_head"].values()) >= NUM_ANSWERS
    assert min(told["answered_with_head"].values()) >= NUM_ANSWERS


def test_the_replicas_are_the_same_processes(told: dict[str, Any]) -> None:
    assert told["replicas_after"] == told["replicas_before"] != []


def test_they_are_where_they_were_planned(told: dict[str, Any]) -> None:
    fleet = fleet_named(MANIFEST)
    planned = manifest.planned(plan_for(fleet), fleet)
    assert told["placement"] == sorted([*where, number] for where, number in planned.items())
