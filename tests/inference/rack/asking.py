"""A client that asks again and again, and keeps what went wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

import httpx

PAUSE_S = 0.1
TIMEOUT_S = 30.0  # a request may wait for its turn on few cores; one that hangs is lost
PROMPT = "the same again"

Ask = Callable[[], str | None]  # asks once: what is wrong with the answer, None where nothing is


class Asking:
    """Asks in a thread of its own, on a new connection each time, until left."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_again, daemon=True)
        self.num_answered = 0
        self.failures: list[str] = []

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def told(self) -> str:
        """For a failure."""
        return f"{self.num_answered} answers, then {self.failures[-3:]}"

    def _ask_again(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(PAUSE_S):
            if failure := self._ask():
                self.failures.append(f"after {time.monotonic() - began:.1f} s: {failure}")
            else:
                self.num_answered += 1


def completion(url: str, model: str, *, echo: bool = True) -> Ask:
    """One request for text; `echo`: the stand-in answers, who is to say the prompt again."""
    body = {"model": model, "prompt": PROMPT, "max_tokens": len(PROMPT)}

    def ask() -> str | None:
        try:
            answer = httpx.post(
                f"{url}/v1/completions", json=body, timeout=TIMEOUT_S, trust_env=False
            )
        except httpx.HTTPError as error:
            return repr(error)
        if answer.status_code != 200:
            return f"{answer.status_code} {answer.text}"
        text: str = answer.json()["choices"][0]["text"]
        return f"it said {text!r}" if echo and text != PROMPT else None

    return ask


def probe(*urls: str) -> Ask:
    """What a pod's probe asks, one URL after the other."""

    def ask() -> str | None:
        for url in urls:
            try:
                answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
            except httpx.HTTPError as error:
                return f"{url}: {error!r}"
            if answer.status_code != 200:
                return f"{url}: {answer.status_code} {answer.text}"
        return None

    return ask
