"""One HTTP request's book: tokens for `usage`, times for the metrics, one line for the log."""

from __future__ import annotations

import logging
import time

from serving.embedder import Embeddings
from serving.http import metrics as names
from serving.http.merge import Batch
from serving.http.metrics import FaceMetrics

logger = logging.getLogger("serving.http.requests")

# Tokens are reported in lots: often enough for a rate, seldom enough to cost nothing.
TOKENS_PER_REPORT = 64


class Account:
    """Filled while a request runs, closed once at its end."""

    def __init__(self, request_id: str, num_choices: int, metrics: FaceMetrics) -> None:
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._request_id = request_id
        self._num_choices = num_choices
        self._metrics = metrics
        self._arrived_s = time.monotonic()
        self._queue_s = 0.0
        self._first_token_s: float | None = None
        self._num_reported = 0
        self._finish_reasons: list[str] = []

    def admitted(self, waited_s: float) -> None:
        """The request has begun to run, `waited_s` after it was ready to."""
        self._queue_s = waited_s

    def saw(self, batch: Batch) -> None:
        """Enter what the engine produced."""
        for _, chunk in batch:
            self.completion_tokens += chunk.num_tokens
            if chunk.prompt is not None:
                self.prompt_tokens += chunk.prompt.num_tokens
                self._queue_s += chunk.prompt.queue_s
            if chunk.finish_reason is not None:
                self._finish_reasons.append(chunk.finish_reason)
        if self._first_token_s is None and self.completion_tokens:
            self._first_token_s = time.monotonic()
        if self.completion_tokens - self._num_reported >= TOKENS_PER_REPORT:
            self._report_tokens()

    def embedded(self, embeddings: Embeddings) -> None:
        """Every text of the request has its vector; their tokens are prompt tokens."""
        self.prompt_tokens = sum(embeddings.num_tokens)
        self._queue_s = embeddings.queue_s
        self._finish_reasons = ["stop"] * len(embeddings.num_tokens)

    def prompt_usage(self) -> dict[str, int]:
        """OpenAI's usage object where nothing is generated."""
        return {"prompt_tokens": self.prompt_tokens, "total_tokens": self.prompt_tokens}

    def usage(self) -> dict[str, int]:
        """OpenAI's usage object."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def close(self) -> None:
        """Report the whole request."""
        ended_s = time.monotonic()
        num_aborted = self._num_choices - len(self._finish_reasons)
        self._report_tokens()
        self._metrics.add(names.PROMPT_TOKENS, self.prompt_tokens)
        for reason in [*self._finish_reasons, *["abort"] * num_aborted]:
            self._metrics.add(names.SUCCESS, 1, reason)
        self._metrics.observe(names.QUEUE_TIME, self._queue_s)
        self._metrics.observe(names.E2E_LATENCY, ended_s - self._arrived_s)
        if self._first_token_s is not None:
            self._report_token_times(self._first_token_s, ended_s)
        logger.info(
            "request %s: %d prompt and %d completion tokens, queued %.3f s, took %.3f s, %s",
            self._request_id,
            self.prompt_tokens,
            self.completion_tokens,
            self._queue_s,
            ended_s - self._arrived_s,
            "aborted" if num_aborted else "complete",
        )

    def _report_tokens(self) -> None:
        new = self.completion_tokens - self._num_reported
        self._metrics.add(names.GENERATION_TOKENS, new)
        self._num_reported = self.completion_tokens

    def _report_token_times(self, first_token_s: float, ended_s: float) -> None:
        self._metrics.observe(names.FIRST_TOKEN, first_token_s - self._arrived_s)
        # The choices of a request advance side by side.
        gaps = self.completion_tokens / self._num_choices - 1
        if gaps > 0:
            self._metrics.observe(names.PER_TOKEN, (ended_s - first_token_s) / gaps)
