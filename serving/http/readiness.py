"""Whether the replica can answer: loading, ready, or dead."""

from __future__ import annotations

import time
from typing import Literal

from serving.errors import EngineDead, EngineLoading


class Readiness:
    """One state at a time, and since when."""

    def __init__(self) -> None:
        self.status: Literal["loading", "ready", "dead"] = "loading"
        self._detail = "starting"
        self._since_s = time.monotonic()

    def loading(self, what: str) -> None:
        """It is busy with `what` ("reading weights") and cannot answer yet; may be said often."""
        self._change("loading", what)

    def ready(self) -> None:
        """It answers."""
        self._change("ready", "")

    def failed(self, error: Exception) -> None:
        """It will never answer again; the replica must be replaced."""
        self._change("dead", str(error) or type(error).__name__)

    def check(self) -> None:
        """Raises EngineLoading or EngineDead unless the replica is ready."""
        if self.status == "loading":
            raise EngineLoading(
                f"The model is not ready yet: {self._detail}, for {self._seconds} s so far."
            )
        if self.status == "dead":
            raise EngineDead(f"The engine is dead: {self._detail}")

    def describe(self) -> dict[str, object]:
        """The state, for /health."""
        detail = {"loading": {"doing": self._detail}, "dead": {"error": self._detail}, "ready": {}}
        return {"status": self.status, "for_s": self._seconds, **detail[self.status]}

    @property
    def _seconds(self) -> int:
        return int(time.monotonic() - self._since_s)

    def _change(self, status: Literal["loading", "ready", "dead"], detail: str) -> None:
        if status != self.status:
            self._since_s = time.monotonic()
        self.status, self._detail = status, detail
