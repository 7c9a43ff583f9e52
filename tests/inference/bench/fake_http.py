"""A small real HTTP server whose answers a test writes down."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Fake:
    """Where the server is and what it was asked."""

    url: str
    asked: list[Asked] = field(default_factory=list)


# A status and a body; anything but bytes is sent as JSON.
Answer = Callable[[Asked], tuple[int, Any]]


def routes(known: dict[str, Any]) -> Answer:
    """Each path's body; 404 for the others."""
    return lambda asked: (200, known[asked.path]) if asked.path in known else (404, b"not here")


@contextmanager
def serving(answer: Answer) -> Iterator[Fake]:
    """On a free loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            asked = Asked(parts.path, query, dict(self.headers))
            fake.asked.append(asked)
            status, said = answer(asked)
            body = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake = Fake(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
