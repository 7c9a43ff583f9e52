"""What all images have in common, read from their files; tests/images builds those for CPUs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from inference.manifest.images import CPU_IMAGES, GPU_IMAGES
from inference.manifest.names import SERVE_PORT, USER_ID

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docker").glob("Dockerfile.*"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(params=FILES, ids=lambda path: path.suffix[1:])
def file(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


@pytest.fixture
def text(file: Path) -> str:
    return re.sub(r"^\s*#.*\n", "", file.read_text(), flags=re.MULTILINE).replace("\\\n", "")


def words(text: str, instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.+)$", text, re.MULTILINE)


def sets(text: str) -> list[Path]:
    """The files of requirements that are copied into the image."""
    return [ROOT / name for name in re.findall(r"requirements/[\w.-]+", text)]


def test_there_is_one_for_every_image_that_manifests_name() -> None:
    named = {*GPU_IMAGES.values(), *CPU_IMAGES.values()}
    assert {path.suffix[1:] for path in FILES} == named


def test_hadolint_finds_nothing(file: Path) -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    config = ROOT / "docker/.hadolint.yaml"
    done = subprocess.run(
        [hadolint, "--config", config, file], capture_output=True, text=True, check=False
    )
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian:latest\nRUN cd /tmp && pip install ray\n")
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, bad], capture_output=True, text=True, check=False)
    assert "DL3007" in done.stdout


def test_ray_is_of_one_version_everywhere(text: str) -> None:
    ours = next(line for line in PROJECT["dependencies"] if line.startswith("ray["))
    version = ours.partition("==")[2]
    pinned = [
        found
        for path in sets(text)
        for found in re.findall(r"^ray(?:\[serve\])?==([\w.]+)", path.read_text(), re.MULTILINE)
    ]
    assert pinned
    assert set(pinned) == {version}


def test_python_is_of_one_version_and_looked_at(text: str) -> None:
    assert words(text, "ARG PYTHON=3.12") or "ARG PYTHON=3.12" in text.splitlines()
    assert 'require-python "${PYTHON}"' in text


def test_versions_stand_in_the_projects_files_only(text: str) -> None:
    """The only ones here are the base's tag and Python's."""
    steps = "\n".join(words(text, "RUN"))
    assert "==" not in steps
    assert re.search(r"pip install .*(--requirement|--constraint) [\w.-]+", steps)
    assert len(words(text, "ARG BASE=")) == 0
    assert re.search(r"^ARG BASE=\S+:\S+$", text, re.MULTILINE)
    assert ":latest" not in text


def test_nobody_in_it_is_root(text: str) -> None:
    assert words(text, "USER") == [f"{USER_ID}:{USER_ID}"]
    assert f"useradd --uid {USER_ID} " in text


def test_it_starts_alone_and_under_kuberay(text: str) -> None:
    installed = " ".join(re.findall(r"apt-get install [^&]+", text))
    assert {"bash", "wget", "tini"} <= set(installed.split())
    assert words(text, "ENTRYPOINT") == ['["tini", "--"]']
    assert words(text, "CMD")[-1].startswith('["anynode", "serve", ')
    assert words(text, "EXPOSE") == [str(SERVE_PORT)]
    assert f"http://127.0.0.1:{SERVE_PORT}/-/healthz" in text
    assert "RAY_SERVE_ENABLE_HA_PROXY=1" in text


def test_it_says_what_it_is(text: str) -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", text))
    assert {"title", "description", "licenses", "version", "revision"} <= labels


def test_of_models_only_the_demo_is_in_it(text: str) -> None:
    assert [line for line in words(text, "COPY") if "models" in line] == [
        "models/anynode-demo models/anynode-demo"
    ]


def test_code_comes_after_libraries(text: str) -> None:
    """So that a change of it uses the layers of the last build."""
    assert text.index("pip install") < text.index("COPY inference inference")


def test_our_operators_are_where_onnx_runtime_is(text: str) -> None:
    """Compiled in a stage of its own, as what runs needs no compiler."""
    build, _, final = text.rpartition("\nFROM ")
    runs = any(re.search(r"^onnxruntime==", path.read_text(), re.MULTILINE) for path in sets(text))
    compiled = "COPY --from=libraries /opt/operators serving/kernels\n" in final
    assert compiled == runs
    if compiled:
        assert {"gcc", "libc6-dev"} <= set(" ".join(words(build, "RUN")).split())
        assert "gcc" not in final
        libraries = build.index("--constraint base.txt")
        assert libraries < build.index("COPY serving/kernels/*.[ch] serving/kernels/\n")


def test_no_operators_of_the_builders_machine_are_copied() -> None:
    assert (ROOT / ".dockerignore").read_text().splitlines()[-1] == "**/*.so"


def test_the_builders_context_is_what_dockerfiles_copy() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    for path in FILES:
        for line in re.findall(r"^COPY (?!--from)(.+)$", path.read_text(), re.MULTILINE):
            for source in line.split()[:-1]:
                assert any(source == each or source.startswith(f"{each}/") for each in kept), source


@pytest.mark.parametrize(
    ("python", "code"), [("{}.{}".format(*sys.version_info[:2]), 0), ("2.7", 1)]
)
def test_another_python_ends_the_build(python: str, code: int) -> None:
    done = subprocess.run(
        [ROOT / "docker/require-python", python], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert ("choose another BASE" in done.stderr) == bool(code)
