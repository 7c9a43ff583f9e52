"""Which CPUs add int8 products exactly."""

from __future__ import annotations

import pytest

from serving.cpu_flags import saturates


@pytest.mark.parametrize(
    ("machine", "flags", "overflows"),
    [
        ("x86_64", {"avx2"}, True),
        ("x86_64", {"avx2", "avx512_vnni"}, False),
        ("x86_64", {"avx2", "avx_vnni"}, False),
        ("aarch64", set(), False),
    ],
)
def test_cpus_whose_int8_products_need_the_exact_kernels(machine, flags, overflows):
    assert saturates(machine, frozenset(flags)) is overflows
