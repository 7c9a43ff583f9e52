"""A server that answers whatever it is told to, byte for byte, and then does what it should not."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
Behaviour = Callable[[socket.socket], None]


def event(text: str = "", finish_reason: str | None = None) -> bytes:
    """One event of a completion's stream."""
    choice = {"index": 0, "text": text, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def usage(prompt_tokens: int, completion_tokens: int) -> bytes:
    """The event that counts."""
    counted = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return b"data: " + json.dumps({"choices": [], "usage": counted}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
GOOD = event("two ") + event("words", "stop") + usage(3, 2) + DONE


def says(body: bytes, *, status: str = "200 OK", kind: str = "text/event-stream") -> Behaviour:
    """A complete HTTP answer."""

    def behave(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return behave


def says_json(document: object, *, status: str = "200 OK") -> Behaviour:
    return says(json.dumps(document).encode(), status=status, kind="application/json")


def dies_after(sent: bytes) -> Behaviour:
    """Begins a chunked answer and closes in the middle of it."""

    def behave(connection: socket.socket) -> None:
        chunk = b"%x\r\n%s\r\n" % (len(sent), sent) if sent else b""
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        connection.close()

    return behave


def closes_at_the_end_of(sent: bytes) -> Behaviour:
    """An answer without a length: it lasts until the connection is closed."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"\r\n" + sent)
        connection.close()

    return behave


def resets(connection: socket.socket) -> None:
    """No answer at all, only a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def sends_raw(data: bytes) -> Behaviour:
    """Whatever that is."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(data)
        connection.close()

    return behave


def stays_silent(connection: socket.socket) -> None:
    """Keeps the connection and says nothing."""


@dataclass
class Misbehaving:
    """What a test needs to know of the running server."""

    port: int
    requests: list[tuple[str, bytes]] = field(default_factory=list)  # head and body
    num_connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def misbehaving(*behaviours: Behaviour) -> Iterator[Misbehaving]:
    """Request i gets behaviour i; the last one goes on for all that follow."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = Misbehaving(listener.getsockname()[1])
    open_connections: list[socket.socket] = []
    lock = threading.Lock()

    def serve(connection: socket.socket) -> None:
        try:
            while (request := _read_request(connection)) is not None:
                with lock:
                    number = len(server.requests)
                    server.requests.append(request)
                behaviours[min(number, len(behaviours) - 1)](connection)
        except OSError:
            return  # closed, by one side or the other

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            server.num_connections += 1
            open_connections.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in open_connections:
            connection.close()
        thread.join(5)


def _read_request(connection: socket.socket) -> tuple[str, bytes] | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(body) < length:
        body += connection.recv(65536)
    return head.decode(), body
