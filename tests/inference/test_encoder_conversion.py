"""Sentence encoders of several families converted for real, and `anynode convert` on one of them.

Slow the first time, because the conversion set (torch and more) is installed into `.cache/convert`.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from inference.cli.convert import environment
from serving.conversion.converters import find_converter
from serving.embedder import EmbedderSettings, EmbedRequest
from serving.engines.onnx_embedder import OnnxEmbedder
from tests.contract.embedder_contract import TINY_ENCODER

ROOT = Path(__file__).parents[2]
FAMILIES = (
    "bert",
    "distilbert",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "qwen3",
    "roberta",
    "xlm-roberta",
)
PROGRAM = """
import sys
from pathlib import Path
from scripts.make_random_encoder import FAMILIES, make_encoder
from serving.conversion.encoder import convert
from serving.conversion.request import Request
for family in FAMILIES:
    folder = Path(sys.argv[1], family)
    make_encoder(family, folder, matryoshka=family == "nomic_bert")
    request = Request(folder, folder / "onnx", "auto")
    print(family, convert(request, lambda stage: None).deviation)
"""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one converted checkpoint of random weights for each family."""
    folder = tmp_path_factory.mktemp("encoders")
    converter, _ = find_converter("onnx_embeddings", None)
    command = [str(environment(converter)), "-c", PROGRAM, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        [family, "int8,"] for family in FAMILIES
    ]
    return folder


def anynode_convert(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "inference.cli.main", "convert", str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def expected(folder: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Texts, and their vectors by transformers' own code."""
    known = json.loads((folder / "expected.json").read_text())
    return tuple(known), np.array(list(known.values()))


def vectors(folder: Path, texts: tuple[str, ...], **fields: int) -> np.ndarray:
    async def whole() -> np.ndarray:
        embedder = OnnxEmbedder(EmbedderSettings(folder))
        await embedder.load()
        embeddings = await embedder.embed(EmbedRequest(texts, **fields))
        await embedder.unload()
        return embeddings.vectors

    return asyncio.run(whole())


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_gives_its_checkpoints_vectors(models: Path, family: str) -> None:
    texts, wanted = expected(models / family)
    got = vectors(models / family, texts)
    assert np.sum(got * wanted, axis=1).min() > 0.995
    assert (wanted @ wanted.T)[~np.eye(len(texts), dtype=bool)].max() < 0.99, "no two alike"


def test_a_matryoshka_models_vectors_are_cut(models: Path) -> None:
    texts, wanted = expected(models / "nomic_bert")
    cut = wanted[:, :16] / np.linalg.norm(wanted[:, :16], axis=1, keepdims=True)
    got = vectors(models / "nomic_bert", texts, dimensions=16)
    assert np.sum(got * cut, axis=1).min() > 0.99


def test_the_encoder_of_our_tests_is_one_of_them(models: Path) -> None:
    texts, wanted = expected(models / "bert")
    np.testing.assert_allclose(expected(TINY_ENCODER)[1], wanted, atol=1e-5)
    np.testing.assert_allclose(
        vectors(TINY_ENCODER, texts), vectors(models / "bert", texts), atol=1e-3
    )


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Iterator[Path]:
    """A checkpoint to convert again."""
    yield Path(shutil.copytree(models / "bert", tmp_path / "model"))


def test_in_float32_the_vectors_are_the_same(copy: Path) -> None:
    done = anynode_convert(copy, "--data-type", "float32")
    assert done.returncode == 0, done.stderr
    assert "float32, cosine to the checkpoint's vectors 1.0000 or more" in done.stdout
    texts, wanted = expected(copy)
    np.testing.assert_allclose(vectors(copy, texts), wanted, atol=1e-5)


def no_module(folder: Path) -> str:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    return "asks for the module Dense"


def no_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "cannot be loaded by transformers"


@pytest.mark.parametrize("spoil", [no_module, no_weights])
def test_what_cannot_be_converted_is_said_and_the_old_graph_stays(
    copy: Path, spoil: Callable[[Path], str]
) -> None:
    before = sorted(path.name for path in (copy / "onnx").iterdir())
    said = spoil(copy)
    done = anynode_convert(copy)
    assert done.returncode == 1
    assert said in done.stderr
    assert sorted(path.name for path in (copy / "onnx").iterdir()) == before


def test_a_data_type_that_is_no_encoders_is_named(copy: Path) -> None:
    done = anynode_convert(copy, "--data-type", "int4")
    assert done.returncode == 2
    assert "converted to auto or int8 or float32, not int4" in done.stderr
