"""The options that all our graphs are run with."""

from __future__ import annotations

import pytest

from serving.engines.onnx_session import int8_saturates


@pytest.mark.parametrize(
    ("machine", "flags", "saturates"),
    [
        ("x86_64", {"avx2"}, True),
        ("x86_64", {"avx2", "avx512_vnni"}, False),
        ("x86_64", {"avx2", "avx_vnni"}, False),
        ("aarch64", set(), False),
    ],
)
def test_cpus_whose_int8_products_need_the_exact_kernels(machine, flags, saturates):
    assert int8_saturates(machine, frozenset(flags)) is saturates
