"""A client that asks again and again, and keeps what went wrong."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import httpx

PAUSE_S = 0.1
TIMEOUT_S = 30.0  # a request may wait for its turn on few cores; one that hangs is lost
PROMPT = "the same again"


class Asking:
    """Asks one application in a thread of its own, on a new connection each time, until left."""

    def __init__(self, url: str, model: str) -> None:
        self._url = url
        self._model = model
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._ask_again, name=f"asks {url}", daemon=True)
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

    def _ask_again(self) -> None:
        began = time.monotonic()
        while not self._stopped.wait(PAUSE_S):
            if failure := failure_of(self._url, self._model):
                self.failures.append(f"after {time.monotonic() - began:.1f} s: {failure}")
            else:
                self.num_answered += 1


def complete(url: str, model: str) -> httpx.Response:
    """One request's answer."""
    body = {"model": model, "prompt": PROMPT, "max_tokens": len(PROMPT)}
    return httpx.post(f"{url}/v1/completions", json=body, timeout=TIMEOUT_S, trust_env=False)


def failure_of(url: str, model: str) -> str | None:
    """What is wrong with the stand-in's answer; None where it is right."""
    try:
        answer = complete(url, model)
    except httpx.HTTPError as error:
        return repr(error)
    if answer.status_code == 200 and answer.json()["choices"][0]["text"] == PROMPT:
        return None
    return f"{answer.status_code} {answer.text}"


def answers(url: str, model: str) -> bool:
    """Whether the stand-in's answer is right."""
    return failure_of(url, model) is None
