"""Asks one question and writes down what came of it."""

from __future__ import annotations

import asyncio
import ssl
from hashlib import blake2b

from inference.bench.client.answers import Reader, WholeAnswer, reader
from inference.bench.client.bodies import body
from inference.bench.client.connection import Exchange, Pool
from inference.bench.client.meter import Meter
from inference.bench.client.urls import Address, address
from inference.bench.plan import Target
from inference.bench.record import CountedBy, Failure, FailureKind, Prompt, RequestRecord


class Sender:
    """A target's connections; `send` keeps the promise of `record.Send`."""

    def __init__(self, target: Target, meter: Meter, *, keep_texts: bool = False) -> None:
        """Raises ConfigError for URLs that are none. `keep_texts`: put answers into the records."""
        self._target = target
        self._meter = meter
        self._keep_texts = keep_texts
        addresses = [address(url, target.route) for url in target.urls]
        self._pools = [Pool(each, _tls(each)) for each in addresses]
        self._heads = [_head(each, target) for each in addresses]
        self._running: set[Exchange] = set()
        self._stopped = False

    async def send(self, number: int, prompt: Prompt, scheduled_s: float) -> RequestRecord:
        """Ask, and wait until the answer is complete, refused, broken or late."""
        exchange = Exchange(self._message(number, prompt), reader(self._target))
        timer = asyncio.get_running_loop().call_later(
            self._target.timeout_s,
            exchange.abandon,
            FailureKind.TIMEOUT,
            f"no complete answer after {self._target.timeout_s:g} s",
        )
        self._running.add(exchange)
        self._meter.began(exchange)
        if self._stopped:
            self._interrupt(exchange)
        else:
            await self._pools[number % len(self._pools)].carry(exchange)
        self._running.discard(exchange)
        timer.cancel()
        record = self._record(number, prompt, scheduled_s, exchange)
        self._meter.ended(record)
        return record

    def stop(self) -> None:
        """End every request as interrupted, and those that are still to come."""
        self._stopped = True
        for exchange in list(self._running):
            self._interrupt(exchange)

    def close(self) -> None:
        for pool in self._pools:
            pool.close()

    def _interrupt(self, exchange: Exchange) -> None:
        exchange.abandon(FailureKind.INTERRUPTED, "the benchmark was interrupted")

    def _message(self, number: int, prompt: Prompt) -> bytes:
        said = body(self._target, prompt)
        return self._heads[number % len(self._heads)] + b"%d\r\n\r\n" % len(said) + said

    def _record(
        self, number: int, prompt: Prompt, scheduled_s: float, exchange: Exchange
    ) -> RequestRecord:
        heard = exchange.reader
        text = "".join(heard.texts)
        if self._target.route == "generate" and not self._target.stream:
            text = text.removeprefix(prompt.text)  # a whole answer of /generate begins with it
        usage = heard.usage
        output, counted_by = len(heard.times_s), CountedBy.EVENTS
        if usage is not None:
            output, counted_by = usage.completion_tokens or 0, CountedBy.SERVER
        extra = {"text": text} if self._keep_texts or usage is None else {}
        return RequestRecord(
            number=number,
            endpoint=number % len(self._pools),
            scheduled_s=scheduled_s,
            sent_s=exchange.sent_s or exchange.ended_s,
            ended_s=exchange.ended_s,
            event_times_s=tuple(heard.times_s),
            prompt_tokens=usage.prompt_tokens if usage else prompt.num_tokens or 0,
            output_tokens=output,
            counted_by=counted_by,
            status=exchange.status,
            finish_reason=heard.finish_reason,
            failure=exchange.failure or _emptiness(self._target, heard, text),
            digest=blake2b(text.encode(), digest_size=8).hexdigest(),
            extra=extra,
        )


def _emptiness(target: Target, heard: Reader, text: str) -> Failure | None:
    """An answer that is complete and says nothing is no answer."""
    if target.route == "embeddings":
        empty = isinstance(heard, WholeAnswer) and not heard.num_embeddings
        return Failure(FailureKind.NO_TOKENS, "the answer holds no embedding") if empty else None
    generated = heard.usage.completion_tokens if heard.usage else len(text)
    if generated:  # special tokens are tokens without text
        return None
    return Failure(FailureKind.NO_TOKENS, "the answer is complete and holds no token")


def _head(where: Address, target: Target) -> bytes:
    """All of a request's head but the length of its body."""
    lines = [f"POST {where.path} HTTP/1.1", f"Host: {where.authority}"]
    lines += [f"{name}: {value}" for name, value in target.headers.items()]
    lines += ["Content-Type: application/json", "Content-Length: "]
    return "\r\n".join(lines).encode("latin-1")


def _tls(where: Address) -> ssl.SSLContext | None:
    return ssl.create_default_context() if where.tls else None
