"""A server for tests to start as a command: quick to start, and it dies as it is told."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    """Every completion is one word."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path
        if path == "/health" and OPTIONS.never_ready:
            self._say({"status": "loading"}, 503)
        elif path == "/v1/models":
            self._say({"data": [{"id": "tiny"}]})
        else:
            self._say({"version": "1"} if path == "/version" else {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if OPTIONS.die_after is not None and not QUOTA.acquire(blocking=False):
            print("out of memory", flush=True)
            os._exit(9)
        usage = {"prompt_tokens": 3, "completion_tokens": body["max_tokens"]}
        choice = {"index": 0, "text": "word", "finish_reason": "length"}
        self._say({"object": "text_completion", "choices": [choice], "usage": usage})

    def _say(self, content: object, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def main() -> None:
    print("starting", *sys.argv[1:], flush=True)
    if OPTIONS.fail:
        sys.exit("no such model")
    if OPTIONS.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if OPTIONS.child:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        Path(OPTIONS.child).write_text(str(child.pid))
    if OPTIONS.starts:
        with Path(OPTIONS.starts).open("a") as starts:
            starts.write("start\n")
    ThreadingHTTPServer(("127.0.0.1", OPTIONS.port), Handler).serve_forever()


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser()
    found.add_argument("--port", type=int)
    found.add_argument("--die-after", type=int, help="this many completions")
    found.add_argument("--never-ready", action="store_true")
    found.add_argument("--fail", action="store_true", help="at the start")
    found.add_argument("--deaf", action="store_true", help="to SIGTERM")
    found.add_argument("--child", help="leave a process behind, its pid in this file")
    found.add_argument("--starts", help="a file that gets a line for every start")
    return found


if __name__ == "__main__":
    OPTIONS = parser().parse_args()
    QUOTA = threading.Semaphore(OPTIONS.die_after or 0)
    main()
