"""Every connection is an open file, and systems allow few by default."""

from __future__ import annotations

import resource

from inference.bench.plan import Load
from serving.errors import ConfigError

SPARE = 128  # for everything that is no connection


def allow(load: Load, processes: int) -> None:
    """Raise this process' limit as far as its share of a load may need.

    Raises ConfigError if the system does not allow enough.
    """
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = -(-(load.concurrency or 0) // processes) + SPARE
    if most != resource.RLIM_INFINITY and needed > most:
        raise ConfigError(
            f"{load.concurrency} requests at once need {needed} open files in each client process, "
            f"and this system allows {most}: raise it (ulimit -n), or use more --processes"
        )
    if load.concurrency is None:  # an open loop without a cap: as many as there may be
        needed = most
    if limit != resource.RLIM_INFINITY and limit < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, most))
