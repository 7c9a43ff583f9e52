"""What is written is a comparison that `anynode bench compare` takes."""

from __future__ import annotations

import pytest

from bench.vllm import arms, files
from inference.bench.compare import config, gates
from inference.bench.compare.plans import load_points


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes the tiny shape's comparison and reads it back."""
    monkeypatch.setattr(files, "ROOT", tmp_path)
    monkeypatch.setattr(files, "CACHE", tmp_path / "cache")

    def write(*names):
        return config.from_file(files.write("tiny", names, 3))

    return write


def test_every_arm_and_gate_is_there(written):
    found = written(*files.SERVED)
    assert tuple(found.arms) == arms.ARMS
    assert (found.base(), found.rounds, found.pause_idle) == ("bare", 3, True)
    points = [point.name for point in load_points(found.load)]
    assert points == [f"concurrency {clients}" for clients in (1, 8, 32, 64)]
    lines = gates.from_lines(found.gates, str)
    gates.check(lines, arms=list(found.arms), points=points)
    assert len(lines) == len(files.GATES)


def test_gates_about_arms_that_are_left_out_are_left_out(written):
    assert written(arms.RAY_LLM).gates == ()
    assert len(written(arms.HAPROXY).gates) == 3
    assert list(written(arms.PYTHON_PROXY).arms) == ["bare", "python-proxy"]


def test_an_arm_reads_the_config_written_for_it(written, tmp_path):
    found = written(arms.HAPROXY)
    read = [word for word in found.arms["haproxy"].command if word.endswith(".yaml")]
    assert read == ["cache/vllm/tiny/haproxy.yaml"]
    assert (tmp_path / read[0]).is_file()
