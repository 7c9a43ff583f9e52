"""Reads answers as they arrive: server-sent events, lines of JSON, or one JSON document.

A reader is fed bytes with the time they came at; it keeps what was said and when, and it knows
whether the answer is complete. It parses as it goes, and little: the client must stay faster than
the server it measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from inference.bench.plan import Target
from inference.bench.record import FailureKind

LONGEST_EVENT_BYTES = 16 << 20  # of an answer that never ends a line


class BadAnswer(Exception):
    """What came is not what was promised."""

    def __init__(self, detail: str, kind: FailureKind = FailureKind.MALFORMED) -> None:
        super().__init__(detail)
        self.kind = kind


class Delta(msgspec.Struct):
    """A message, or a piece of one."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()

    def said(self) -> str:
        """All of it that a model had to generate; tool calls as the JSON they came in."""
        words = (self.reasoning_content or self.reasoning or "") + (self.content or "")
        calls = bytes(self.tool_calls)
        return words if calls in (b"", b"null", b"[]") else words + calls.decode()


class Choice(msgspec.Struct):
    """One choice of a chat, a completion or a piece of either."""

    text: str | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None

    def said(self) -> str:
        if self.text is not None:
            return self.text
        part = self.delta or self.message
        return part.said() if part is not None else ""


class Usage(msgspec.Struct):
    """The server's own count."""

    prompt_tokens: int = 0
    completion_tokens: int | None = 0


class Document(msgspec.Struct):
    """OpenAI's answers and their pieces; other fields are skipped unread."""

    choices: Sequence[Choice] = ()
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()
    data: Sequence[msgspec.Raw] = ()  # embeddings


class Line(msgspec.Struct):
    """What /generate and / answer."""

    text: str | list[str] | None = None
    error: msgspec.Raw = msgspec.Raw()


DOCUMENT = msgspec.json.Decoder(Document)
LINE = msgspec.json.Decoder(Line)


class Reader(Protocol):
    """What connections feed."""

    texts: list[str]
    times_s: list[float]  # when text came; empty where nothing was streamed
    usage: Usage | None
    finish_reason: str | None

    def feed(self, data: bytes, now_s: float) -> None:
        """Raises BadAnswer."""

    def end(self) -> None:
        """The message is over; raises BadAnswer if the answer is not."""


class _Heard:
    """What all readers keep."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.times_s: list[float] = []
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self._rest = b""

    def _lines(self, data: bytes) -> list[bytes]:
        """The whole lines there are now; the rest waits."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_EVENT_BYTES:
            raise BadAnswer(f"a line of more than {LONGEST_EVENT_BYTES >> 20} MiB")
        return lines

    def _hear(self, text: str, now_s: float) -> None:
        if text:
            self.texts.append(text)
            self.times_s.append(now_s)


class EventStream(_Heard):
    """Server-sent events of OpenAI's streams (WHATWG HTML, section 9.2; data lines only)."""

    def __init__(self) -> None:
        super().__init__()
        self._done = False

    def feed(self, data: bytes, now_s: float) -> None:
        for line in self._lines(data):
            if line.startswith(b"data:"):
                self._event(line[5:].strip(), now_s)
            elif line.strip() and not line.startswith((b":", b"event:", b"id:", b"retry:")):
                raise BadAnswer(f"not a line of server-sent events: {excerpt(line)}")

    def _event(self, payload: bytes, now_s: float) -> None:
        if payload == b"[DONE]":
            self._done = True
            return
        try:
            document = DOCUMENT.decode(payload)
        except msgspec.MsgspecError as error:
            raise BadAnswer(f"{error}, in the event {excerpt(payload)}") from error
        if document.error:
            raise BadAnswer(excerpt(bytes(document.error)), FailureKind.STREAM_ERROR)
        if document.usage is not None:
            self.usage = document.usage
        for choice in document.choices:
            self._hear(choice.said(), now_s)
            self.finish_reason = choice.finish_reason or self.finish_reason

    def end(self) -> None:
        if self._rest.strip():
            raise BadAnswer(f"the stream ends inside the line {excerpt(self._rest)}")
        if not self._done and self.finish_reason is None:
            raise BadAnswer(
                "the stream ends without [DONE] or a finish_reason", FailureKind.DISCONNECTED
            )


class LineStream(_Heard):
    """One JSON object a line, as POST /generate streams."""

    def feed(self, data: bytes, now_s: float) -> None:
        for line in filter(None, self._lines(data)):
            found = _line(line)
            self._hear(_joined(found.text), now_s)

    def end(self) -> None:
        if self._rest.strip():
            raise BadAnswer(f"the stream ends inside the line {excerpt(self._rest)}")


class WholeAnswer(_Heard):
    """One JSON document."""

    def __init__(self, *, is_line: bool) -> None:
        super().__init__()
        self._is_line = is_line
        self.num_embeddings = 0

    def feed(self, data: bytes, now_s: float) -> None:
        self._rest += data

    def end(self) -> None:
        if self._is_line:
            self.texts.append(_joined(_line(self._rest).text))
            return
        try:
            document = DOCUMENT.decode(self._rest)
        except msgspec.MsgspecError as error:
            raise BadAnswer(f"{error}, in the answer {excerpt(self._rest)}") from error
        self.usage = document.usage
        self.num_embeddings = len(document.data)
        for choice in document.choices:
            self.texts.append(choice.said())
            self.finish_reason = choice.finish_reason or self.finish_reason


class Refusal(_Heard):
    """The body of an answer that is no success: kept, to be quoted."""

    def feed(self, data: bytes, now_s: float) -> None:
        self._rest = (self._rest + data)[:4096]

    def end(self) -> None:
        return

    def quote(self) -> str:
        """The server's own words, without the JSON around them where it can be taken off."""
        try:
            found = msgspec.json.decode(self._rest)
        except msgspec.MsgspecError:
            return excerpt(self._rest)
        error = found.get("error", found) if isinstance(found, dict) else found
        message = error.get("message", error) if isinstance(error, dict) else error
        return excerpt(str(message).encode())


def reader(target: Target) -> EventStream | LineStream | WholeAnswer:
    """Whichever reads what this target answers."""
    if not target.stream or target.route == "embeddings":
        return WholeAnswer(is_line=target.route == "generate")
    return LineStream() if target.route == "generate" else EventStream()


def _line(line: bytes) -> Line:
    try:
        found = LINE.decode(line)
    except msgspec.MsgspecError as error:
        raise BadAnswer(f"{error}, in {excerpt(line)}") from error
    if found.error:
        raise BadAnswer(excerpt(bytes(found.error)), FailureKind.STREAM_ERROR)
    if found.text is None:
        raise BadAnswer(f"no text in {excerpt(line)}")
    return found


def _joined(text: str | list[str] | None) -> str:
    return "".join(text) if isinstance(text, list) else text or ""


def excerpt(data: bytes) -> str:
    """Enough of it to recognise, on one line."""
    text = " ".join(data.decode("utf-8", "replace").split())
    return text if len(text) <= 160 else text[:157] + "…"
