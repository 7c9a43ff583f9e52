"""The llama_cpp engine's arithmetic."""

from __future__ import annotations

import pytest

from serving.engines.llama_cpp_memory import padded_length, rows_within
from serving.errors import ConfigError


@pytest.mark.parametrize(("length", "padded"), [(1, 256), (256, 256), (257, 512), (4096, 4096)])
def test_rows_are_padded(length, padded):
    assert padded_length(length) == padded


@pytest.mark.parametrize(
    ("budget", "rows"),
    [(10**9, 9), (900, 9), (899, 8), (250, 2)],  # 8 sequences and the spare row, of 100 bytes
)
def test_there_are_as_many_rows_as_the_budget_holds(budget, rows):
    assert rows_within(budget, row_bytes=100, max_num_seqs=8) == rows


def test_a_budget_for_less_than_two_rows_is_refused():
    with pytest.raises(ConfigError, match=r"199 bytes .* give it 200 or lower max_model_len"):
        rows_within(199, row_bytes=100, max_num_seqs=8)
