"""A load may have as many connections as the system allows, and no more."""

from __future__ import annotations

import resource

import pytest

from inference.bench.client.open_files import allow
from inference.bench.plan import Load
from serving.errors import ConfigError


@pytest.fixture
def limits(monkeypatch):
    """A system of 1,024 open files that may become 4,096."""
    now = {"limits": (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", lambda kind: now["limits"])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, new: now.update(limits=new))
    return now


@pytest.mark.parametrize(
    ("load", "processes", "limit"),
    [
        (Load(concurrency=100), 1, 1024),
        (Load(concurrency=2000), 1, 2128),
        (Load(concurrency=7000), 2, 3628),
        (Load(concurrency=None), 1, 4096),
    ],
)
def test_the_limit_is_raised_as_far_as_needed(limits, load, processes, limit):
    allow(load, processes)
    assert limits["limits"] == (limit, 4096)


def test_more_than_the_system_allows_is_refused(limits):
    with pytest.raises(ConfigError, match=r"5000 requests .* allows 4096.*--processes"):
        allow(Load(concurrency=5000), 1)
    assert limits["limits"] == (1024, 4096)
