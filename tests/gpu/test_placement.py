"""Which GPUs a replica takes: Ray's books, and what the replica's own process sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.gpu.machine import gpus_at_first, needs
from tests.gpu.serving import START_S, config_file, refusal
from tests.inference.running import ROOT
from tests.vllm.served import VLLM_ENVIRONMENT

SMALL = {"gpu_memory_utilization": 0.3}


def placed(config: Path, home: Path) -> dict[str, Any]:
    """What `tests.gpu.placing` saw: GPUs that Ray has given away, and each replica's own."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    own = {"RAY_AUTH_MODE": "disabled", "HOME": str(home), "PYTHONPATH": str(ROOT)}
    # Ray's sockets have long names of their own, so its folder needs a short one.
    with tempfile.TemporaryDirectory(prefix="gpus-", dir="/tmp") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.gpu.placing", folder, str(config)],
            cwd=ROOT,
            env={**inherited, **VLLM_ENVIRONMENT, **own},
            stdout=subprocess.PIPE,
            text=True,
            timeout=START_S,
            check=True,
        )
    return next(json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


def test_a_replica_takes_one_gpu_and_sees_no_other(home: Path, tmp_path: Path) -> None:
    seen = placed(config_file(tmp_path, gpu_count=1, **SMALL), home)
    assert seen["taken"] == 1
    [replica] = seen["replicas"]
    assert (len(replica["given"]), replica["devices"]) == (1, 1)


def test_a_config_that_names_no_gpu_gets_one_all_the_same(home: Path, tmp_path: Path) -> None:
    """`ray_actor_options` replaces the builder's whole, GPUs and all."""
    deployment = {"ray_actor_options": {"num_cpus": 1}}
    seen = placed(config_file(tmp_path, deployment, gpu_count=1, **SMALL), home)
    assert seen["taken"] == 1
    assert seen["replicas"] == [{"given": [], "devices": 1}]


def test_two_replicas_share_one_gpu(home: Path, tmp_path: Path) -> None:
    config = config_file(
        tmp_path, {"num_replicas": 2}, replicas_per_gpu=2, gpu_memory_utilization=0.4
    )
    seen = placed(config, home)
    assert seen["taken"] == 1
    one, other = seen["replicas"]
    assert one == other
    assert one["devices"] == 1


@needs(2)
def test_a_replica_of_two_gpus_has_both_of_one_node(home: Path, tmp_path: Path) -> None:
    seen = placed(config_file(tmp_path, gpu_count=2, **SMALL), home)
    assert seen["taken"] == 2
    [replica] = seen["replicas"]
    assert (len(set(replica["given"])), replica["devices"]) == (2, 2)


@needs(2)
def test_two_replicas_have_a_gpu_each(home: Path, tmp_path: Path) -> None:
    seen = placed(config_file(tmp_path, {"num_replicas": 2}, gpu_count=1, **SMALL), home)
    assert seen["taken"] == 2
    given = [each["given"] for each in seen["replicas"]]
    assert len(given) == 2
    assert given[0] != given[1]


def test_more_gpus_than_there_are_is_refused_at_once(home: Path, tmp_path: Path) -> None:
    found, _ = gpus_at_first()
    one_too_many = len(found) + 1
    said = refusal(config_file(tmp_path, gpu_count=one_too_many), home)
    assert f"gpu_count: one replica needs {one_too_many} GPUs of one node" in said
