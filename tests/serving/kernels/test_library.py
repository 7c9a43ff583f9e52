"""Where our operators run, and the words for where they do not."""

from __future__ import annotations

import pytest

from serving.cpu.processor import Processor, this_processor
from serving.kernels.library import LIBRARY, NEEDED, why_not
from tests.serving.kernels.small_graphs import needs_kernels

ABLE = Processor("x86_64", flags=frozenset(NEEDED))
NO_CPU = "this CPU has no AVX512-VNNI"


@needs_kernels
def test_nothing_keeps_this_machine_from_running_them():
    assert why_not(this_processor()) is None


@pytest.mark.parametrize("missing", NEEDED)
def test_a_cpu_without_one_of_the_instruction_sets(missing):
    assert why_not(Processor("x86_64", flags=frozenset(NEEDED) - {missing})) == NO_CPU


def test_an_arm_cpu():
    assert why_not(Processor("aarch64", "ARM", flags=frozenset({"asimd", "i8mm"}))) == NO_CPU


def test_a_library_that_was_not_compiled(monkeypatch, tmp_path):
    monkeypatch.setattr("serving.kernels.library.LIBRARY", tmp_path / LIBRARY.name)
    words = why_not(ABLE)
    assert words is not None
    assert "were not compiled" in words
    assert "apt install gcc libc6-dev" in words
    # A compiler would not help this one.
    assert why_not(Processor("x86_64")) == NO_CPU


def test_a_library_that_is_there(monkeypatch, tmp_path):
    (tmp_path / LIBRARY.name).touch()
    monkeypatch.setattr("serving.kernels.library.LIBRARY", tmp_path / LIBRARY.name)
    assert why_not(ABLE) is None
