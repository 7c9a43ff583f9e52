"""The environment variables that keep our Ray apart from every other one on the machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from inference.local import haproxy
from inference.local.ports import free_block
from serving.model_source import PACKAGES_ROOT

Proxy = Literal["haproxy", "python"]

REPLICA_PORTS = 100  # at most this many replicas on one machine


def private_ray(inherited: Mapping[str, str], folder: Path, proxy: Proxy) -> dict[str, str]:
    """The variables to start Ray with: `inherited` without its Ray settings, plus our own.

    Everything Ray writes goes below `folder`, every port is picked free, and whoever wants to
    speak to this Ray must know a token that exists in these variables only.
    """
    variables = {name: value for name, value in inherited.items() if not name.startswith("RAY_")}
    return variables | _ray() | _python(inherited) | _serve(folder, proxy)


def _ray() -> dict[str, str]:
    return {
        # Ray runs whatever it is sent. A token in the environment keeps others out and, unlike
        # Ray's own default, leaves no file in the home folder.
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(24),
        # On Linux too: listen on the loopback interface instead of all of them. It also keeps Ray
        # alive when a laptop changes networks.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        # Workers are started when something needs them: on a laptop idle ones only cost time.
        "RAY_prestart_worker_first_driver": "0",
        # Ray gives its workers, the model among them, less of the CPU than any other program has.
        "RAY_worker_niceness": "0",
        # Ray at rest looks after a cluster of one: less often, or it takes a tenth of a core.
        "RAY_raylet_report_resources_period_milliseconds": "1000",
        "REPORTER_UPDATE_INTERVAL_MS": "60000",
        "RAY_DASHBOARD_AGENT_LOOP_MONITOR_INTERVAL_S": "5",
        # Metrics pages nobody asked for: any free port instead of one fixed for the machine.
        "AUTOSCALER_METRIC_PORT": "0",
        "DASHBOARD_METRIC_PORT": "0",
    }


def _python(inherited: Mapping[str, str]) -> dict[str, str]:
    """Workers import the very packages we run from, also where they are not installed."""
    paths = [str(PACKAGES_ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
    # Uvicorn must not believe an X-Forwarded-For: who the peer is decides who may speak.
    return {"PYTHONPATH": os.pathsep.join(paths), "FORWARDED_ALLOW_IPS": ""}


def _serve(folder: Path, proxy: Proxy) -> dict[str, str]:
    settings = {
        "RAY_SERVE_ENABLE_HA_PROXY": str(int(proxy == "haproxy")),
        # Replicas answer on the loop their port is read on: no hop between threads for each chunk.
        "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "0",
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.25",
        # A model that cannot be loaded is reported at once, not tried again and again.
        "RAY_SERVE_MAX_PER_REPLICA_RETRY_COUNT": "1",
    }
    return settings | (_haproxy(folder / "haproxy") if proxy == "haproxy" else {})


def _haproxy(folder: Path) -> dict[str, str]:
    folder.mkdir()
    fallback_port, metrics_port, stats_port, *replica_ports = free_block(3 + REPLICA_PORTS)
    launcher = folder / "launch"
    haproxy.write_launcher(launcher, stats_port=stats_port, metrics_port=metrics_port)
    prefix = "RAY_SERVE_HAPROXY_"
    return {
        f"{prefix}BINARY_PATH": str(launcher),
        f"{prefix}CONFIG_FILE_LOC": str(folder / "proxy.cfg"),
        f"{prefix}SOCKET_PATH": str(folder / "admin"),
        f"{prefix}METRICS_SOCKET_PATH": str(folder / "metrics"),
        f"{prefix}SERVER_STATE_BASE": str(folder),
        f"{prefix}SERVER_STATE_FILE": str(folder / "state"),
        f"{prefix}METRICS_PORT": str(metrics_port),
        f"{prefix}STATS_PORT": str(stats_port),
        f"{prefix}NBTHREAD": str(min(4, os.cpu_count() or 1)),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_port),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(replica_ports[0]),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(replica_ports[-1]),
        # Nothing outside this machine has to notice that a replica leaves.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "0",
    }
