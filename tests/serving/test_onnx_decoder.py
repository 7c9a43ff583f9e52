"""The decoder on the demo model: answers that depend on nothing but the row, memory that is given
back, and settings that cannot work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from serving.engines.onnx_decoder import OnnxDecoder
from serving.errors import ConfigError
from serving.kv_budget import DEFAULT_MAX_MODEL_LEN
from tests.serving.kernels.small_graphs import needs_kernels

FOLDER = Path(__file__).parents[2] / "models" / "anynode-demo" / "onnx"
LENGTHS = (37, 5, 100, 1, 64, 250, 17, 9)
MAX_MODEL_LEN = 2048


@pytest.fixture(scope="module", params=[True, False], ids=["own kernels", "ONNX Runtime's"])
def decoder(request: pytest.FixtureRequest) -> Iterator[OnnxDecoder]:
    made = OnnxDecoder(
        FOLDER, num_rows=9, max_model_len=MAX_MODEL_LEN, num_threads=2, own_kernels=request.param
    )
    yield made
    made.close()


def prompt(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(3, 2000, length)


def read(decoder: OnnxDecoder, row: int, tokens: np.ndarray) -> np.ndarray:
    return decoder.prefill(row, tokens, 0, all_logits=False)[0]


def test_a_row_decodes_the_same_alone_and_among_unequal_neighbours(decoder):
    prompts = [prompt(length, seed) for seed, length in enumerate(LENGTHS)]
    tokens = np.array([read(decoder, row, p).argmax() for row, p in enumerate(prompts)])
    lengths = np.array(LENGTHS)
    together = []
    for step in range(4):
        logits = decoder.decode(tokens, lengths + step).copy()
        together.append((tokens, logits))
        tokens = logits.argmax(axis=1)
    for row, tokens_of_row in enumerate(prompts):
        read(decoder, 0, tokens_of_row)
        for step, (fed, logits) in enumerate(together):
            alone = decoder.decode(fed[row : row + 1], lengths[row : row + 1] + step)
            np.testing.assert_array_equal(alone[0], logits[row])


@pytest.mark.parametrize("size", [2, 3, 7, 16, 64, 255, 299])
def test_chunks_give_what_the_whole_prompt_gives(decoder, size):
    tokens = prompt(301)
    whole = decoder.prefill(0, tokens, 0, all_logits=True).copy()
    chunks, start = [], 0
    while start < len(tokens):
        end = min(start + size, len(tokens))
        end += len(tokens) - end == 1  # never a last chunk of one
        chunks.append(decoder.prefill(1, tokens[start:end], start, all_logits=True))
        start = end
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_the_last_logits_are_the_last_of_all(decoder):
    tokens = prompt(50)
    every = decoder.prefill(0, tokens, 0, all_logits=True)
    assert every.shape == (50, decoder.vocab_size)
    np.testing.assert_array_equal(decoder.prefill(1, tokens, 0, all_logits=False), every[-1:])


def test_decoding_goes_on_where_prefill_stopped(decoder):
    """The decoding kernel sums in another order than the prompt's, so this is close, not equal."""
    tokens = prompt(40)
    whole = decoder.prefill(0, tokens, 0, all_logits=False)[0]
    read(decoder, 0, tokens[:-1])
    step = decoder.decode(tokens[-1:], np.array([39]))[0]
    assert np.abs(step - whole).max() < 0.1 * whole.std()


def kv_of(decoder: OnnxDecoder, row: int, length: int) -> list[np.ndarray]:
    return [kv.array[row, :, :length].copy() for kv in decoder._kv]


@pytest.mark.parametrize("length", [1, 40, 127, 128, 1900])
@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_verifying_gives_what_decoding_gives(decoder, length, count):
    """Logits and what is left in the row, whatever stood behind the row's end before."""
    tokens = prompt(length + count, seed=length)
    read(decoder, 0, tokens[:length])
    decoded = [
        decoder.decode(tokens[place : place + 1], np.array([place]))[0].copy()
        for place in range(length, length + count)
    ]
    left = kv_of(decoder, 0, length + count)
    for kv in decoder._kv:
        kv.array[0, :, length:] = 1e3
    np.testing.assert_array_equal(decoder.verify(tokens[length:], length), np.stack(decoded))
    for array, expected in zip(kv_of(decoder, 0, length + count), left, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_verifying_touches_no_other_row(decoder):
    for row in range(3):
        read(decoder, row, prompt(50, seed=row))
    others = kv_of(decoder, 1, MAX_MODEL_LEN) + kv_of(decoder, 2, MAX_MODEL_LEN)
    decoder.verify(prompt(8, seed=9), 50)
    for array, expected in zip(
        kv_of(decoder, 1, MAX_MODEL_LEN) + kv_of(decoder, 2, MAX_MODEL_LEN), others, strict=True
    ):
        np.testing.assert_array_equal(array, expected)


def test_what_was_rejected_is_overwritten(decoder):
    tokens = prompt(60)
    read(decoder, 0, tokens)
    expected = [decoder.decode(np.array([7]), np.array([60]))[0].copy()]
    expected.append(decoder.decode(np.array([8]), np.array([61]))[0].copy())
    read(decoder, 0, tokens)
    np.testing.assert_array_equal(decoder.verify(np.array([7, 99, 98, 97]), 60)[0], expected[0])
    np.testing.assert_array_equal(decoder.decode(np.array([8]), np.array([61]))[0], expected[1])


def test_a_moved_row_keeps_its_answers(decoder):
    tokens = prompt(60)
    read(decoder, 0, tokens)
    read(decoder, 5, tokens)
    stayed = decoder.decode(np.array([7]), np.array([60])).copy()
    read(decoder, 0, prompt(80, seed=1))
    decoder.move_row(5, 0, 60)
    np.testing.assert_array_equal(decoder.decode(np.array([7]), np.array([60])), stayed)


def test_a_released_row_can_be_used_again(decoder):
    before = read(decoder, 3, prompt(90)).copy()
    decoder.release_row(3)
    np.testing.assert_array_equal(read(decoder, 3, prompt(90)), before)


def test_a_prompt_of_two_thousand_tokens(decoder):
    logits = read(decoder, 8, prompt(2000))
    assert np.isfinite(logits).all()
    longer = decoder.prefill(8, prompt(48, seed=2), 2000, all_logits=True)
    assert longer.shape == (48, decoder.vocab_size)


def test_only_used_tokens_cost_memory_and_released_rows_give_it_back():
    decoder = OnnxDecoder(FOLDER, num_rows=64, max_model_len=4096, num_threads=2)
    for _ in range(3):
        read(decoder, 0, prompt(1024))  # what the runtime itself keeps for its work
    process = psutil.Process()
    at_rest = process.memory_info().rss
    row_bytes = 1024 * decoder.kv_bytes_per_token
    for row in range(1, 33):
        read(decoder, row, prompt(1024))
    used = process.memory_info().rss - at_rest
    for row in range(1, 33):
        decoder.release_row(row)
    kept = process.memory_info().rss - at_rest
    assert used == pytest.approx(32 * row_bytes, rel=0.2)
    assert kept < used / 4
    decoder.close()


def test_closing_twice_is_safe():
    decoder = OnnxDecoder(FOLDER, num_rows=1, max_model_len=64, num_threads=1)
    logits = read(decoder, 0, prompt(5))
    decoder.close()
    decoder.close()
    assert np.isfinite(logits).all()


def test_kv_bytes_per_token_counts_keys_and_values_of_all_layers(decoder):
    manifest = json.loads((FOLDER / "anynode.json").read_text())
    floats = 2 * manifest["num_layers"] * manifest["num_kv_heads"] * manifest["head_dim"]
    bytes_of_one = 2 if decoder.kernels.startswith("our own") else 4
    assert decoder.kv_bytes_per_token == bytes_of_one * floats


def test_the_length_is_the_models_own_up_to_a_cap():
    decoder = OnnxDecoder(FOLDER, num_rows=1, max_model_len=None, num_threads=1)
    manifest = json.loads((FOLDER / "anynode.json").read_text())
    assert decoder.max_model_len == min(manifest["max_model_len"], DEFAULT_MAX_MODEL_LEN)
    decoder.close()


@pytest.mark.parametrize("length", [0, 1_000_000])
def test_a_length_the_model_was_not_made_for(length):
    with pytest.raises(ConfigError, match=r"max_model_len: .* set it to a number from 1 to"):
        OnnxDecoder(FOLDER, num_rows=1, max_model_len=length, num_threads=1)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "model" / "onnx"))


def refuse(folder: Path, words: str, *, own_kernels: bool = True) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        OnnxDecoder(folder, num_rows=1, max_model_len=64, num_threads=1, own_kernels=own_kernels)
    assert caught.value.param == "model_name"


def small(*, own_kernels: bool) -> OnnxDecoder:
    return OnnxDecoder(
        FOLDER, num_rows=1, max_model_len=128, num_threads=2, own_kernels=own_kernels
    )


def test_the_exact_kernels_give_the_same_answers(monkeypatch):
    usual = small(own_kernels=False)
    monkeypatch.setattr("serving.engines.onnx_session.int8_saturates", lambda *_: True)
    exact = small(own_kernels=False)
    np.testing.assert_array_equal(read(exact, 0, prompt(64)), read(usual, 0, prompt(64)))
    exact.close()
    usual.close()


@needs_kernels
def test_our_kernels_give_what_onnx_runtimes_give():
    """Products are equal to the bit; attention sums in another order, over float16 keys and values,
    so this is close.
    """
    ours, theirs = small(own_kernels=True), small(own_kernels=False)
    assert (ours.kernels, theirs.kernels) == (
        "our own (AVX512-VNNI)",
        "ONNX Runtime (own_kernels: false)",
    )
    for length in (1, 2, 64, 127):
        expected = read(theirs, 0, prompt(length))
        assert np.abs(read(ours, 0, prompt(length)) - expected).max() < 0.1 * expected.std()
    ours.close()
    theirs.close()


def test_a_cpu_that_cannot_run_our_kernels_runs_onnx_runtimes(monkeypatch):
    monkeypatch.setattr("serving.kernels.library.NEEDED", ("no such flag",))
    decoder = small(own_kernels=True)
    assert decoder.kernels == "ONNX Runtime (this CPU has no AVX512-VNNI)"
    decoder.close()


def test_a_model_converted_by_an_earlier_version_runs_on_onnx_runtimes(copy):
    manifest = json.loads((copy / "anynode.json").read_text())
    del manifest["files"]["own.onnx"]
    (copy / "anynode.json").write_text(json.dumps(manifest))
    decoder = OnnxDecoder(copy, num_rows=1, max_model_len=64, num_threads=1)
    assert "converted by an earlier version" in decoder.kernels
    decoder.close()


def test_a_folder_that_was_never_converted(tmp_path):
    refuse(tmp_path / "onnx", f"no anynode.json; run `anynode convert {tmp_path}`")


def test_a_folder_of_another_format(copy):
    manifest = json.loads((copy / "anynode.json").read_text())
    (copy / "anynode.json").write_text(json.dumps(manifest | {"format_version": 99}))
    refuse(copy, "format 99, this version reads 1; run `anynode convert")


def test_a_weight_file_cut_short(copy):
    data = copy / "model.onnx.data"
    data.write_bytes(data.read_bytes()[:-100])
    refuse(copy, "model.onnx.data that is missing or cut short; run `anynode convert")


@pytest.mark.parametrize("own_kernels", [True, False])
def test_a_graph_that_is_no_graph(copy, own_kernels):
    for graph in copy.glob("*.onnx"):
        graph.write_bytes(b"\xff" * graph.stat().st_size)
    refuse(copy, "ONNX Runtime cannot load .* run `anynode convert", own_kernels=own_kernels)


def test_weights_that_do_not_fit(copy, monkeypatch):
    monkeypatch.setattr("serving.memory.available_bytes", lambda: 1_000_000)
    refuse(copy, r"only 0\.0 GB of memory are free; give this model more memory")
