"""A small HTTP server that answers as Azure AI Content Safety does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from inference.bench.safety import ENDPOINT_VARIABLE, KEY_VARIABLE

KEY = "a secret"
ROUTE = "/contentsafety/text:analyze"
CATEGORIES = ("Hate", "SelfHarm", "Sexual", "Violence")


@dataclass
class FakeAzure:
    """What it was asked, and how it answers."""

    url: str = ""
    unsafe_word: str = "poison"
    status: int = 200
    body: Any = None  # instead of a verdict
    texts: list[str] = field(default_factory=list)
    num_connections: int = 0

    def set_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(ENDPOINT_VARIABLE, self.url)
        monkeypatch.setenv(KEY_VARIABLE, KEY)

    def answer(self, text: str) -> Any:
        severity = 4 if self.unsafe_word in text else 2
        analysis = [{"category": each, "severity": 0} for each in CATEGORIES[:3]]
        analysis.append({"category": CATEGORIES[3], "severity": severity})
        return {"blocklistsMatch": [], "categoriesAnalysis": analysis}


@contextmanager
def fake_azure(**settings: Any) -> Iterator[FakeAzure]:
    """On a free loopback port until the block ends."""
    fake = FakeAzure(**settings)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            fake.num_connections += 1

        def do_POST(self) -> None:
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            known = self.path.partition("?")[0] == ROUTE
            if not known or self.headers["Ocp-Apim-Subscription-Key"] != KEY:
                self._say(401, {"error": {"code": "401", "message": "Access denied"}})
                return
            fake.texts.append(given["text"])
            self._say(fake.status, fake.body or fake.answer(given["text"]))

        def _say(self, status: int, said: Any) -> None:
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
