"""`anynode plan -o`: the committed manifests are its output, and half a plan is not written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

from tests.inference.manifest.committed import COMMITTED, ROOT


def plan(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inference.cli.main", "plan", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_named_in_a_manifest_writes_it_again(tmp_path: Path) -> None:
    committed = (ROOT / COMMITTED["mixed"]).read_text()
    output = tmp_path / "cluster.yml"
    done = plan("k8s/fleets/mixed.yaml", "-o", output)
    assert done.returncode == 0, done.stderr
    first = f"# Written by: anynode plan k8s/fleets/mixed.yaml -o {output}"
    assert output.read_text().splitlines() == [first, *committed.splitlines()[1:]]


def test_name_and_registry_can_be_given(tmp_path: Path) -> None:
    output = tmp_path / "cluster.yml"
    plan("k8s/fleets/one-node.yaml", "-o", output, "--name", "lab", "--registry", "hub.lab:5000")
    service = yaml.safe_load(output.read_text())
    assert service["metadata"]["name"] == "lab"
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    assert head["containers"][0]["image"].startswith("hub.lab:5000/anynode-amd-cpu:")


def test_half_a_plan_is_not_written(tmp_path: Path) -> None:
    fleet = yaml.safe_load((ROOT / "k8s/fleets/nvidia.yaml").read_text())
    fleet["models"][0]["replicas"] = 40
    file, output = tmp_path / "fleet.yaml", tmp_path / "cluster.yml"
    file.write_text(yaml.safe_dump(fleet))
    done = plan(file, "-o", output)
    assert done.returncode == 2
    assert "is not written: llama2 found no place" in done.stderr
    assert not output.exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    done = plan("k8s/fleets/one-node.yaml", "-o", tmp_path / "nowhere" / "cluster.yml")
    assert done.returncode == 2
    assert "choose a file that can be written" in done.stderr
