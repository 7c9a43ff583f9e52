"""The two Serve configs of 2023 that this project began with, whole, as they were published."""

from __future__ import annotations

from pathlib import Path

from inference.check.files import check_files, check_text
from tests.inference.check.bad_files import DATA


def found(name: str) -> list[tuple[int, str]]:
    return [(each.line, each.rule) for each in check_files([DATA / name])]


def test_the_one_for_gpus_is_not_yaml_and_can_be_mended() -> None:
    (only,) = check_files([DATA / "seed_gpu.yaml"])
    assert (only.line, only.rule) == (7, "yaml")
    assert "import_path stands in the wrong column" in only.fix
    assert "anynode migrate" in only.fix


def test_the_one_for_cpus() -> None:
    assert found("seed_cpu.yaml") == [
        (10, "placeholder"),
        (14, "args-notice"),
        (16, "placeholder"),
        (21, "renamed-key"),
        (22, "value"),
        (23, "misplaced-key"),
        (28, "placeholder"),
        (32, "args-notice"),
        (34, "placeholder"),
        (39, "renamed-key"),
        (42, "misplaced-key"),
    ]


def test_in_its_cluster_the_second_intel_replica_finds_no_room() -> None:
    """The machines of 2023: a head of 220 CPUs on Intel, workers of 256, 224 and 128."""
    findings = check_files([DATA / "cluster_2023.yaml"])
    (fit,) = [each for each in findings if each.rule == "fleet-fit"]
    assert "1 of 2 replicas of application llama2-cpu-intel finds no room" in fit.message
    assert "each needs 224 CPUs" in fit.message
    assert "220 (head), 224 (cpu-intel)" in fit.message
    assert {each.rule for each in findings} >= {
        "misplaced-key",  # amd_cpu outside resources
        "renamed-key",  # max_concurrent_queries
        "cpu-vendor",  # and so AMD's replica may be put on Intel's CPUs
        "dead-key",  # the two thresholds
        "unready-workers",  # HeadOnly, while KubeRay asks every worker's proxy
        "claim",
        "api-version",
    }


def test_a_part_in_a_manifest_is_told_by_the_lines_of_the_manifest() -> None:
    text = (DATA / "seed_gpu.yaml").read_text()
    manifest = "kind: RayService\napiVersion: ray.io/v1\nmetadata: {name: a}\nspec:\n"
    manifest += "  serveConfigV2: |\n" + "".join(f"    {each}\n" for each in text.splitlines())
    broken = [each for each in check_text(manifest, "m.yml") if each.rule == "yaml"]
    assert [(each.line, each.file) for each in broken] == [(7 + 5, "m.yml")]


def test_the_configs_that_come_with_the_project_are_right() -> None:
    root = Path(__file__).parents[3]
    assert check_files([root / "serving/cpu/config.yaml"]) == []
    assert check_files([root / "serving/gpu/config.yaml"]) == []
