"""HTTP/1.1 connections that tell when bytes came, kept open and used again.

A timestamp is taken once for each read, before anything is parsed. httptools (the parser of
Node.js) reads the protocol; `answers` reads what is in it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

import httptools

from inference.bench.client.answers import BadAnswer, Reader, Refusal
from inference.bench.client.urls import Address
from inference.bench.record import Failure, FailureKind

MAX_IDLE = 1024  # connections kept for later, for each address


class Exchange:
    """One request on the wire and what came back."""

    def __init__(self, message: bytes, reader: Reader) -> None:
        self.message = message
        self.reader: Reader = reader
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sent_s = 0.0
        self.ended_s = 0.0
        self.status: int | None = None
        self.failure: Failure | None = None
        self.connection: Connection | None = None

    def finish(self, failure: Failure | None, now_s: float) -> None:
        """The end, for better or worse; only the first call counts."""
        if self.done.done():
            return
        self.failure, self.ended_s = failure, now_s
        self.done.set_result(None)

    def abandon(self, kind: FailureKind, detail: str) -> None:
        """End it from our side; its connection cannot be used again."""
        self.finish(Failure(kind, detail), time.perf_counter())
        if self.connection is not None:
            self.connection.close()


class Connection(asyncio.Protocol):
    """One socket; carries one exchange at a time."""

    def __init__(self, idle: Callable[[Connection], None]) -> None:
        self._idle = idle
        self._parser: Any = None
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._now_s = 0.0
        self.used_before = False

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def begin(self, exchange: Exchange) -> None:
        """Send a request."""
        assert self._transport is not None
        self._exchange = exchange
        exchange.connection = self
        self._parser = httptools.HttpResponseParser(self)
        exchange.sent_s = time.perf_counter()
        self._transport.write(exchange.message)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is of no class of asyncio

    def data_received(self, data: bytes) -> None:
        self._now_s = time.perf_counter()
        if self._exchange is None:  # nobody asked
            self.close()
            return
        try:
            self._parser.feed_data(data)
        except BadAnswer as error:
            self._fail(error.kind, str(error))
        except httptools.HttpParserError as error:
            cause = error.__context__  # what a callback of ours raised
            if isinstance(cause, BadAnswer):
                self._fail(cause.kind, str(cause))
            else:
                self._fail(FailureKind.MALFORMED, f"not HTTP: {error}")

    def connection_lost(self, error: Exception | None) -> None:
        self._now_s = time.perf_counter()
        self._transport = None
        if self._exchange is None:
            return
        if self._ends_with_the_connection():
            self.on_message_complete()
        else:
            why = f": {error}" if error else ""
            self._fail(FailureKind.DISCONNECTED, f"the server closed the connection{why}")

    def _ends_with_the_connection(self) -> bool:
        """An answer without a length lasts until the server closes; its reader knows the rest."""
        status = self._exchange.status if self._exchange else None
        return status is not None and not self._has_length

    # httptools' callbacks

    def on_message_begin(self) -> None:
        self._has_length = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        assert self._exchange is not None
        status = self._parser.get_status_code()
        self._exchange.status = status
        if status != 200:
            self._exchange.reader = Refusal()

    def on_body(self, body: bytes) -> None:
        assert self._exchange is not None
        self._exchange.reader.feed(body, self._now_s)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        assert exchange is not None
        try:
            exchange.reader.end()
        except BadAnswer as error:
            self._fail(error.kind, str(error))
            return
        self._exchange = None
        self.used_before = True
        exchange.finish(_refusal(exchange), self._now_s)
        if self.usable and self._parser.should_keep_alive():
            self._idle(self)
        else:
            self.close()

    def _fail(self, kind: FailureKind, detail: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.finish(Failure(kind, detail), self._now_s)
        self.close()


def _refusal(exchange: Exchange) -> Failure | None:
    status, heard = exchange.status, exchange.reader
    if not isinstance(heard, Refusal) or status is None:
        return None
    detail = f"HTTP {status}: {heard.quote()}"
    if status == 429:
        return Failure(FailureKind.HTTP_429, detail)
    return Failure(FailureKind.HTTP_5XX if status >= 500 else FailureKind.HTTP_4XX, detail)


class Pool:
    """Connections to one address; the one used last is used next."""

    def __init__(self, address: Address, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._tls = tls
        self._idle: list[Connection] = []

    async def carry(self, exchange: Exchange) -> None:
        """Until the exchange is done, however it ends."""
        while (connection := self._waiting()) is not None:
            connection.begin(exchange)
            await exchange.done
            if not _was_closed_while_idle(exchange):
                return
            exchange.done = asyncio.get_running_loop().create_future()
            exchange.failure = None
        opening = asyncio.ensure_future(self._open())
        either: set[asyncio.Future[Any]] = {opening, exchange.done}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if exchange.done.done():  # timed out or interrupted
            opening.add_done_callback(_close_what_came)
            opening.cancel()
            return
        try:
            opening.result().begin(exchange)
        except ssl.SSLError as error:
            exchange.abandon(FailureKind.TLS, str(error))
        except OSError as error:
            exchange.abandon(FailureKind.CONNECT, _reason(error))
        await exchange.done

    def _waiting(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
        return None

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        address = self._address
        _, connection = await loop.create_connection(
            lambda: Connection(self._keep), address.host, address.port, ssl=self._tls
        )
        return connection

    def _keep(self, connection: Connection) -> None:
        if len(self._idle) < MAX_IDLE:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _reason(error: OSError) -> str:
    """The system's words, without the address that asyncio adds: reports say it already."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def _close_what_came(opening: asyncio.Future[Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _was_closed_while_idle(exchange: Exchange) -> bool:
    """A server may close an idle connection just as we use it: that is no failure of its."""
    return (
        exchange.failure is not None
        and exchange.failure.kind is FailureKind.DISCONNECTED
        and exchange.status is None
        and exchange.connection is not None
        and exchange.connection.used_before
    )
