"""Writes a stream: everything the engine has ready is one write.

Nothing is sent before the engine's first words, so a request that the engine refuses still gets
its proper status. What goes wrong later can only end the stream.
"""

from __future__ import annotations

import asyncio

from starlette.types import Send

from serving.http.answer import Answer
from serving.http.job import Run

# How long to try to tell a client, which may not be reading, why its stream ends.
LAST_WORDS_S = 1.0


class StreamWriter:
    """One streamed response."""

    def __init__(self, send: Send, answer: Answer) -> None:
        self._send = send
        self._answer = answer
        self.started = False

    async def write_all_but_last(self, run: Run) -> str:
        """Send what the engine produces as it comes; return the last piece, to be `finish`ed."""
        text = self._answer.opening()
        while True:
            text += self._answer.pieces(await run.take())
            if run.ended:
                return text + self._answer.closing(run.usage())
            if text:
                await self._write(text)
                text = ""

    async def finish(self, text: str) -> None:
        """Send the last piece."""
        await self._write(text, more=False)

    async def last_words(self, text: str) -> None:
        """Send the last piece, if the client still listens."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._write(text, more=False)
        except TimeoutError:
            return

    async def _write(self, text: str, *, more: bool = True) -> None:
        if not self.started:
            self.started = True
            await self._send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", self._answer.media_type.encode()),
                        (b"cache-control", b"no-cache"),
                        (b"x-accel-buffering", b"no"),  # nginx in between must not hold it back
                    ],
                }
            )
        await self._send(
            {"type": "http.response.body", "body": text.encode("ascii"), "more_body": more}
        )
