"""Fixtures that more than one room of the tests uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.inference.running import Running


@pytest.fixture(scope="session")
def anynode_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """`anynode serve` with these arguments, answering; the same arguments share one server."""
    running: dict[tuple[object, ...], Running] = {}
    with ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Running:
            key = (*arguments, *sorted(environment.items()))
            if key not in running:
                home = tmp_path_factory.mktemp("home")
                server = Running(arguments, home, environment)
                running[key] = stack.enter_context(server)
                server.wait_until_ready()
            return running[key]

        yield start
