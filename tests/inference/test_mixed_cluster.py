"""Applications for two makers' CPUs on several nodes: each goes to its own, or says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.cpu.cpu_advice import DEVICES
from serving.cpu.processor import this_processor
from serving.cpu.topology import this_machine
from tests.inference.mixed_cluster import NUM_CPUS
from tests.inference.running import ROOT


@pytest.fixture(scope="module")
def told() -> Iterator[dict[str, Any]]:
    # Ray's sockets have long names of their own, so its folder needs a short one.
    with tempfile.TemporaryDirectory(prefix="mixed-", dir="/tmp") as folder:
        (Path(folder) / "ray").mkdir()
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
        own = {
            "HOME": folder,
            "RAY_TMPDIR": folder,
            "RAY_AUTH_MODE": "disabled",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on the loopback interface
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.inference.mixed_cluster"],
            cwd=ROOT,
            env=inherited | own,
            stdout=subprocess.PIPE,
            text=True,
            timeout=280,
            check=True,
        )
        yield json.loads(done.stdout.splitlines()[-1])


def test_each_goes_to_the_node_of_its_maker(told: dict[str, Any]) -> None:
    assert (told["amd"]["node"], told["intel"]["node"]) == ("amd", "intel")
    assert told["amd"]["cpus_left"] == NUM_CPUS - 2
    assert told["amd"]["health"]["cpu"]["num_threads"] == 2


@pytest.mark.skipif(
    this_processor().vendor not in DEVICES.values(), reason="this machine's CPU is neither's"
)
def test_the_one_whose_cpu_is_anothers_says_so(told: dict[str, Any]) -> None:
    mine = this_processor().vendor.lower()
    other = {"amd": "intel", "intel": "amd"}[mine]
    assert told[mine]["health"]["cpu"]["warnings"] == []
    (warning,) = told[other]["health"]["cpu"]["warnings"]
    assert f"set target_device: {mine.upper()}" in warning


def test_a_share_of_a_socket_is_counted_on_its_node(told: dict[str, Any]) -> None:
    machine = this_machine()
    assert machine is not None
    sockets = machine.cores_of_sockets()
    assert told["share"]["node"] == "intel"
    assert told["share"]["cpus_left"] == NUM_CPUS - NUM_CPUS // len(sockets)
    assert told["share"]["health"]["cpu"]["num_threads"] == min(sockets.values())


def test_what_no_node_has_is_refused_with_what_there_is(told: dict[str, Any]) -> None:
    cpus, resource, label = told["refused"]
    assert f"needs {NUM_CPUS + 1} CPUs of one node" in cpus
    assert "the resource 'arm_cpu'" in resource
    assert "(there are AMD, Intel)" in label
