"""The encoder in ONNX Runtime: what its folder and its operator may say."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from serving.embedder import EmbedderSettings, EmbedRequest
from serving.engines.onnx_embedder import OnnxEmbedder
from serving.errors import ConfigError, ContextTooLong, InvalidRequest
from tests.contract.embedder_contract import EXPECTED, TEXTS, TINY_ENCODER


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY_ENCODER, tmp_path / "model"))


def change(path: Path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def embed(folder, *inputs, settings=None, **fields):
    async def whole():
        embedder = OnnxEmbedder(EmbedderSettings(folder, **(settings or {})))
        await embedder.load()
        try:
            return await embedder.embed(EmbedRequest(inputs, **fields))
        finally:
            await embedder.unload()

    return asyncio.run(whole())


def load(folder, **settings):
    embed(folder, "a", settings=settings)


def test_neighbours_change_nothing_but_the_last_bits():
    """Each text alone, and in one batch with texts of every length."""
    crowd = [*TEXTS, *("cat " * n for n in range(1, 40))]
    together = embed(TINY_ENCODER, *crowd, settings={"max_num_seqs": 64}).vectors
    for text, vector in zip(crowd[:12], together, strict=False):
        np.testing.assert_allclose(embed(TINY_ENCODER, text).vectors[0], vector, atol=2e-6)


@pytest.mark.parametrize("pooling", ["cls", "lasttoken", "max"])
def test_the_operator_may_pool_otherwise(pooling):
    settings = {"engine_kwargs": {"pooling": pooling}}
    vectors = embed(TINY_ENCODER, *TEXTS, settings=settings).vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    assert np.sum(vectors * np.stack(list(EXPECTED.values())), axis=1).max() < 0.999


def test_the_folder_says_how_to_pool(folder):
    change(
        folder / "1_Pooling/config.json",
        pooling_mode_mean_tokens=False,
        pooling_mode_cls_token=True,
    )
    by_operator = embed(TINY_ENCODER, *TEXTS, settings={"engine_kwargs": {"pooling": "cls"}})
    np.testing.assert_array_equal(embed(folder, *TEXTS).vectors, by_operator.vectors)


def test_vectors_are_normalised_where_the_folder_or_the_operator_says_so(folder):
    modules = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(modules[:2]))
    raw = embed(folder, "Hello").vectors
    assert np.linalg.norm(raw) > 1.5
    unit = embed(folder, "Hello", settings={"engine_kwargs": {"normalize": True}}).vectors
    np.testing.assert_allclose(unit, raw / np.linalg.norm(raw), rtol=1e-5)


def test_a_matryoshka_models_vectors_are_cut_and_are_of_length_one_again(folder):
    change(folder / "config.json", matryoshka_dimensions=[16, 32])
    whole = embed(folder, *TEXTS).vectors
    cut = embed(folder, *TEXTS, dimensions=16).vectors
    assert cut.shape == (len(TEXTS), 16)
    np.testing.assert_allclose(
        cut, whole[:, :16] / np.linalg.norm(whole[:, :16], axis=1, keepdims=True), rtol=1e-4
    )
    with pytest.raises(InvalidRequest, match="may be cut to 16, 32, not to 20"):
        embed(folder, "a", dimensions=20)


def test_a_folder_may_cut_its_vectors_itself(folder):
    (folder / "config_sentence_transformers.json").write_text('{"truncate_dim": 8}')
    assert embed(folder, "a").vectors.shape == (1, 8)


def test_texts_are_as_long_as_the_folder_says_unless_the_operator_knows_better(folder):
    text = "a " * 50
    with pytest.raises(ContextTooLong, match="reads 48 at most"):
        embed(folder, text)
    assert embed(folder, text, settings={"max_model_len": 64}).num_tokens == (52,)
    (folder / "sentence_bert_config.json").unlink()
    assert embed(folder, text).num_tokens == (52,)  # the tokenizer's own 64


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"data_type": "bfloat16"}, "data_type: embeddings run in int8 or float32"),
        ({"data_type": "float32"}, "was converted to int8; .* --data-type float32"),
        ({"max_model_len": 65}, "max_model_len: 65 is more than .* set it to 64 at most"),
        ({"engine_kwargs": {"pool": "cls"}}, r"no option 'pool' \(did you mean 'pooling'\?\)"),
        ({"engine_kwargs": {"pooling": "median"}}, "pooling must be one of cls, lasttoken"),
        ({"engine_kwargs": {"normalize": 1}}, "normalize must be true or false"),
        ({"engine_kwargs": {"max_batch_tokens": 0}}, "max_batch_tokens must be a positive number"),
    ],
)
def test_settings_that_cannot_work_are_named(settings, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load(TINY_ENCODER, **settings)
    assert caught.value.param == next(iter(settings))


def test_what_it_was_converted_to_may_be_asked_for():
    load(TINY_ENCODER, data_type="int8")


def test_a_model_that_was_not_converted_says_how(folder):
    shutil.rmtree(folder / "onnx")
    with pytest.raises(ConfigError, match="anynode convert"):
        load(folder)


def test_a_decoders_graph_is_refused(folder):
    demo = Path(__file__).parents[3] / "models" / "anynode-demo" / "onnx" / "anynode.json"
    shutil.copy(demo, folder / "onnx" / "anynode.json")
    with pytest.raises(ConfigError, match=r"wrong anynode\.json"):
        load(folder)
