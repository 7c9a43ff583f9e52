"""inference.check.files and inference.check.document: what is read, and told apart."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inference.check.document import load
from inference.check.files import check_files, check_text
from inference.check.finding import Finding
from serving.errors import ConfigError
from tests.inference.check.bad_files import DATA

MANIFEST = "apiVersion: ray.io/v1\nkind: RayService\nmetadata: {name: a}\nspec:\n"


def rules(text: str) -> list[str]:
    return [each.rule for each in check_text(text, "a.yaml")]


def test_several_files_know_of_each_other(tmp_path: Path) -> None:
    *ground, service = (DATA / "gpu.yaml").read_text().split("---\n")
    (tmp_path / "ground.yaml").write_text("---\n".join(ground))
    (tmp_path / "service.yaml").write_text(service)
    assert check_files([tmp_path / "ground.yaml", tmp_path / "service.yaml"]) == []
    alone = check_files([tmp_path / "service.yaml"])
    assert {each.rule for each in alone} == {"claim", "secret-name"}


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("aplications: []\n"))
    assert [(each.file, each.rule) for each in check_files(["-"])] == [("-", "unknown-key")]


@pytest.mark.parametrize("content", ["", "# nothing\n", "---\n---\n"])
def test_a_file_with_nothing_in_it_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match="there is nothing in it"):
        check_files([path])


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.yaml: No such file"):
        check_files([tmp_path / "none.yaml"])
    (tmp_path / "image.png").write_bytes(b"\x89PNG\xff")
    with pytest.raises(ConfigError, match=r"image.png: it is not UTF-8"):
        check_files([tmp_path / "image.png"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- 1\n", ["kind"]),
        ("just a text\n", ["kind"]),
        ("apiVersion: v1\nmetadata: {}\n", ["kind"]),
        ("apiVersion: ray.io/v1\nkind: RayJob\n", ["kind"]),
        ("apiVersion: apps/v1\nkind: Deployment\n", []),
    ],
)
def test_what_is_none_of_ours_is_told_apart(text: str, expected: list[str]) -> None:
    assert rules(text) == expected


ODD = ["null", "3", "text", "[]", "[1, null, {}]", "{}", "{a: {b: null}}", "!x y", "2020-01-01"]
MANIFEST_KEYS = """
    metadata spec serveConfigV2 rayClusterConfig headGroupSpec rayStartParams template containers
    ports resources limits workerGroupSpecs env volumes volumeMounts replicas minReplicas labels
    nodeSelector livenessProbe httpGet image claimName
"""
SERVE_KEYS = """
    http_options host port applications name import_path route_prefix args model_name target_device
    batch_size deployments num_replicas ray_actor_options num_cpus
"""


def with_value(name: str, key: str, value: str) -> str:
    """A right file with another value for the last key of that name."""
    lines = (DATA / name).read_text().splitlines()
    (*_, number) = (index for index, each in enumerate(lines) if f"{key}:" in each)
    indent = len(lines[number]) - len(lines[number].lstrip(" -"))
    end = number + 1
    while end < len(lines) and len(lines[end]) - len(lines[end].lstrip()) > indent:
        end += 1
    changed = f"{lines[number].split(':')[0]}: {value}"
    return "\n".join([*lines[:number], changed, *lines[end:], ""])


@pytest.mark.parametrize("key", MANIFEST_KEYS.split())
def test_a_value_of_any_shape_is_answered_by_findings(key: str) -> None:
    """Whatever stands where something else belongs, the checker finds fault and does not fall."""
    name = "cpu.yaml" if key in {"labels", "nodeSelector"} else "gpu.yaml"
    for value in ODD:
        assert all(
            isinstance(each, Finding) for each in check_text(with_value(name, key, value), "")
        )


@pytest.mark.parametrize("key", SERVE_KEYS.split())
def test_a_serve_config_of_any_shape_too(key: str) -> None:
    for value in ODD:
        text = with_value("serve.yaml", key, value)
        assert all(isinstance(each, Finding) for each in check_text(text, ""))


def test_values_are_what_ray_reads() -> None:
    """`serve deploy` reads with PyYAML: yes is true, and a merged key is a key."""
    text = "base: &base {num_cpus: 1, memory: 5}\nuse:\n  <<: *base\n  num_cpus: yes\n1: x\n"
    (document,), broken = load(text, "a.yaml")
    assert broken == []
    assert document.data["use"] == {"memory": 5, "num_cpus": True}
    assert document.data[1] == "x"


def test_lines_in_a_manifest_are_those_of_the_manifest() -> None:
    text = (DATA / "cpu.yaml").read_text()
    (document,), _ = load(text, "a.yaml")
    inner = document.part
    assert inner is not None
    for path, mark in inner.marks.items():
        if isinstance(path[-1], str):
            assert text.splitlines()[mark.line][mark.column :].startswith(path[-1])


@pytest.mark.parametrize(
    "style", ['"applications: []\\naplications: []\\n"', ">\n    aplications: []"]
)
def test_a_serve_config_in_another_style_is_told_by_its_first_line(style: str) -> None:
    manifest = MANIFEST + f"  serveConfigV2: {style}\n"
    found = [each for each in check_text(manifest, "a.yaml") if each.rule == "unknown-key"]
    assert [each.line for each in found] == [5]


@pytest.mark.parametrize(
    ("inner", "line"),
    [("|\n    a: 1\n    b: !!!!!", 7), ('"a: [\\n"', 5), ("|\n    a: 1\n     b: 2", 7)],
)
def test_a_serve_config_that_is_not_yaml_is_told_in_its_line(inner: str, line: int) -> None:
    manifest = MANIFEST + f"  serveConfigV2: {inner}\n"
    found = [each for each in check_text(manifest, "a.yaml") if each.rule == "yaml"]
    assert [each.line for each in found] == [line]
    assert found[0].message.startswith("spec.serveConfigV2: this is not YAML")


def test_a_circle_of_aliases_is_a_finding() -> None:
    assert rules("a: &a\n  b: *a\n") == ["yaml"]
