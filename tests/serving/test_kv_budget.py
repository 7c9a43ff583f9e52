"""How much memory keys and values may take."""

from __future__ import annotations

import pytest

from serving.errors import ConfigError
from serving.kv_budget import kv_budget


@pytest.mark.parametrize(
    ("useful", "asked", "free", "budget"),
    [
        (100, None, 1000, 100),  # no more than is of use
        (900, None, 1000, 500),  # nor than half of what is free
        (100, 300, 1000, 300),  # who asks for more than is of use gets it
        (900, 300, 1000, 300),
        (900, 1000, 1000, 1000),
    ],
)
def test_the_budget(useful, asked, free, budget):
    assert kv_budget(useful, asked, free) == budget


def test_more_than_is_free_is_refused():
    with pytest.raises(ConfigError, match="only 1000 are free here; lower it") as caught:
        kv_budget(100, 1001, 1000)
    assert caught.value.param == "kv_cache_bytes"
