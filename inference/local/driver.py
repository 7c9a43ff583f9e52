"""The process that runs Ray and Serve: `python -m inference.local.driver PLAN EVENTS_FD`.

Started by the supervisor in a session of its own, so that a Ctrl-C at the terminal reaches the
supervisor alone. Says how far it is as JSON lines on EVENTS_FD and runs until SIGTERM, which the
kernel sends in the supervisor's place should that be killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from inference.local import processes
from serving.thread_policy import wait_for_engines

SHUTDOWN_S = 4.0  # for requests in progress to end
POLL_S = 0.1


class Failed(Exception):
    """An application could not be started; the message is for the operator."""


class StopRequest:
    """Set by SIGTERM. A handler and no mask: a mask would be inherited by all of Ray."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self.listen()

    def listen(self) -> None:
        """Take SIGTERM; to be called again after Ray has taken it for itself."""
        signal.signal(signal.SIGTERM, lambda *_: self._arrived.set())

    def wait(self) -> None:
        self._arrived.wait()


def main(plan_path: str, events_fd: str) -> None:
    """Run the plan until told to stop."""
    processes.adopt_orphans()
    processes.end_with_parent()
    stop_request = StopRequest()
    plan = json.loads(Path(plan_path).read_text())
    wait_for_engines()
    try:
        start(plan, lambda event, text="": say(int(events_fd), event, text))
        stop_request.listen()
        stop_request.wait()
    finally:
        stop()
        if os.getppid() != plan["supervisor_pid"]:  # it was killed: its work is ours now
            processes.stop_descendants()
            shutil.rmtree(plan["folder"], ignore_errors=True)


def start(plan: dict[str, Any], tell: Callable[..., None]) -> None:
    """Bring everything up, telling each stage as it begins and `ready` or `failed` at the end."""
    tell("stage", "starting Ray")
    start_ray(plan)
    tell("stage", "starting Serve")
    client = start_serve(plan)
    tell("stage", "loading the model")
    try:
        deploy(client, plan["serve"])
        for url in plan["health_urls"]:
            wait_until_answered(url)
    except Failed as error:
        tell("failed", str(error))
    else:
        tell("ready")


def start_ray(plan: dict[str, Any]) -> None:
    import ray

    ray.init(
        address="local",
        namespace="serve",
        num_cpus=plan["num_cpus"],
        include_dashboard=False,
        object_store_memory=80 * 1024 * 1024,  # near Ray's least: Serve puts nothing big in it
        log_to_driver=plan["verbose"],
        _temp_dir=plan["folder"],
    )


def start_serve(plan: dict[str, Any]) -> Any:
    # What `serve run FILE` calls; the public serve.start gives no client that takes a config.
    from ray.serve._private.api import serve_start

    return serve_start(
        http_options={"host": plan["host"], "port": plan["port"]}, proxy_location="HeadOnly"
    )


def deploy(client: Any, config: dict[str, Any]) -> None:
    """Return when all applications run; raise Failed when one cannot."""
    from ray import serve
    from ray.serve.schema import ServeDeploySchema

    client.deploy_apps(ServeDeploySchema.model_validate(config), _blocking=False)
    while True:
        applications = serve.status().applications
        for name, application in applications.items():
            if application.status == "DEPLOY_FAILED":
                raise Failed(f"application '{name}': {reason(application)}")
        if applications and all(each.status == "RUNNING" for each in applications.values()):
            return
        time.sleep(POLL_S)


def wait_until_answered(url: str) -> None:
    """Return when the way through the proxy is open: Serve says RUNNING a little earlier."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        # Not open yet: nobody listens, or the proxy knows no replica and says 404 or 503.
        with contextlib.suppress(OSError):
            direct.open(url, timeout=5).close()
            return
        time.sleep(POLL_S)


def reason(application: Any) -> str:
    """The sentence in a failed application's status: our own error's where there is one."""
    messages = [each.message for each in application.deployments.values()] + [application.message]
    text = "\n".join(message for message in messages if message)
    ours = re.findall(r"^serving\.errors\.\w+: (.+)$", text, re.MULTILINE)
    checked = re.findall(r"Value error, (.+?) \[type=", text)
    return str((ours or checked or [text.strip()])[-1])


def say(events_fd: int, event: str, text: str) -> None:
    line = json.dumps({"event": event, "text": text}) + "\n"
    with contextlib.suppress(BrokenPipeError):  # the supervisor is gone: SIGTERM is on its way
        os.write(events_fd, line.encode())


def stop() -> None:
    """Let requests in progress end for a moment, then end Ray."""
    import ray
    from ray import serve

    # serve.shutdown waits for replicas far longer than anyone holds still after Ctrl-C.
    draining = threading.Thread(target=serve.shutdown, daemon=True)
    draining.start()
    draining.join(SHUTDOWN_S)
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
