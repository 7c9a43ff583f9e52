"""llama.cpp as a StepModel: rows of their own, and nothing of a failure swallowed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from serving.engines.llama_cpp_decoder import LlamaCppDecoder, Wanted
from serving.prefill_pace import MAX_PREFILL_CHUNK, MIN_LAST_CHUNK

WANTED = Wanted(
    max_num_seqs=8,
    max_model_len=1024,
    kv_cache_bytes=None,
    kv_type="f16",
    batch_invariant=True,
    num_threads=2,
)
RANDOM = np.random.default_rng(0)
PROMPTS = [RANDOM.integers(3, 2048, length) for length in (5, 700, 30, 1, 260, 64, 17, 511)]


KINDS = {"q8_0": ("q8_0", "f16"), "q5_k_m": ("q5_k_m", "f16"), "small kv": ("q5_k_m", "q8_0")}


@pytest.fixture(scope="module", params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture(scope="module")
def model(kind, checkpoint):
    data_type, kv_type = kind
    path = checkpoint / "gguf" / f"demo-{data_type}.gguf"
    model = LlamaCppDecoder(path, replace(WANTED, kv_type=kv_type))
    yield model
    model.close()


@pytest.fixture(autouse=True)
def empty(model):
    for row in range(model.num_rows):
        model.release_row(row)


def read(model, row, prompt, cuts=()):
    """Logits [vocab] after the prompt, read in pieces that end at `cuts`."""
    cuts = sorted({*cuts, *range(MAX_PREFILL_CHUNK, len(prompt), MAX_PREFILL_CHUNK), len(prompt)})
    for start, end in pairwise((0, *cuts)):
        logits = model.prefill(row, prompt[start:end], start, all_logits=False)
    return logits[0].copy()


def alone(model, prompt, steps=12):
    """Greedy logits [steps, vocab] of one prompt, with nobody beside it."""
    rows = [read(model, 0, prompt)]
    for step in range(steps - 1):
        lengths = np.array([len(prompt) + step])
        rows.append(model.decode(rows[-1].argmax(keepdims=True), lengths)[0].copy())
    model.release_row(0)
    return np.array(rows)


def test_a_row_gives_the_same_bits_alone_and_in_company(model):
    wanted = [alone(model, prompt) for prompt in PROMPTS]
    got = [[read(model, row, prompt)] for row, prompt in enumerate(PROMPTS)]
    for step in range(11):
        tokens = np.array([rows[-1].argmax() for rows in got])
        lengths = np.array([len(prompt) + step for prompt in PROMPTS])
        for rows, logits in zip(got, model.decode(tokens, lengths), strict=True):
            rows.append(logits.copy())
    for rows, expected in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("num_rows", [1, 2, 3, 5, 7])
def test_company_of_any_size_changes_nothing(model, num_rows):
    prompts = PROMPTS[:num_rows]
    wanted = [alone(model, prompt, steps=2)[1] for prompt in prompts]
    first = [read(model, row, prompt).argmax() for row, prompt in enumerate(prompts)]
    got = model.decode(np.array(first), np.array([len(prompt) for prompt in prompts]))
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("cuts", [(16,), (100, 400), (256, 600), (692,), (8, 16, 24)])
def test_a_prompt_in_pieces_leaves_the_same_bits(model, cuts):
    prompt = PROMPTS[1]
    wanted = alone(model, prompt, steps=3)
    assert len(prompt) - cuts[-1] >= MIN_LAST_CHUNK
    np.testing.assert_array_equal(read(model, 0, prompt, cuts), wanted[0])
    got = model.decode(wanted[0].argmax(keepdims=True), np.array([len(prompt)]))
    np.testing.assert_array_equal(got[0], wanted[1])


def test_all_logits_are_those_of_each_position(model):
    prompt = PROMPTS[2]
    every = model.prefill(0, prompt, 0, all_logits=True).copy()
    assert every.shape == (len(prompt), model.vocab_size)
    for length in (len(prompt), 9):
        model.release_row(0)
        np.testing.assert_allclose(every[length - 1], read(model, 0, prompt[:length]), atol=1e-4)


def test_a_row_moves_with_what_it_holds(model):
    other, wanted = alone(model, PROMPTS[0]), alone(model, PROMPTS[4])
    read(model, 0, PROMPTS[0])
    read(model, 6, PROMPTS[4])
    model.move_row(6, 1, len(PROMPTS[4]))
    model.release_row(6)
    tokens = np.array([other[0].argmax(), wanted[0].argmax()])
    got = model.decode(tokens, np.array([len(PROMPTS[0]), len(PROMPTS[4])]))
    np.testing.assert_array_equal(got, [other[1], wanted[1]])


def test_a_row_may_be_copied_in_part_and_over_another(model):
    prompt = PROMPTS[4]
    wanted = alone(model, prompt[:100])
    read(model, 5, prompt)
    read(model, 0, PROMPTS[1])
    model.move_row(5, 0, 100)
    got = model.decode(wanted[0].argmax(keepdims=True), np.array([100]))
    np.testing.assert_array_equal(got[0], wanted[1])
    read(model, 5, np.append(prompt, 7)[-10:])  # the source may be written again


def test_rows_hold_as_much_as_was_promised(model):
    assert (model.num_rows, model.max_model_len) == (9, 1024)
    full = np.resize(PROMPTS[1], 1024)
    for row in (0, 8):
        assert np.isfinite(read(model, row, full)).all()


def test_a_call_that_fails_is_an_error(model):
    read(model, 0, PROMPTS[0])
    with pytest.raises(RuntimeError, match=r"llama_decode gave -1 .*position"):
        model.decode(np.array([5]), np.array([len(PROMPTS[0]) + 3]))


def test_the_memory_told_is_the_memory_taken(model, kind):
    layers, numbers = 4, 2 * 2 * 64  # of the demo model: keys and values of two heads
    stored = 34 / 32 if kind[1] == "q8_0" else 2  # bytes of a number
    assert model.kv_bytes_per_token == layers * numbers * stored
