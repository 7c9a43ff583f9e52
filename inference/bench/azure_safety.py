"""Azure AI Content Safety, through its SDK; imported only where it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from azure.ai.contentsafety.aio import ContentSafetyClient
from azure.ai.contentsafety.models import AnalyzeTextOptions, AnalyzeTextResult
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError

from inference.bench.record import Failure, FailureKind

UNSAFE_SEVERITY = 4  # "medium" of 0, 2, 4, 6: what Azure OpenAI's own filters refuse by default
MOST_CHARACTERS = 10_000  # of one call; longer texts take several
TIMEOUT_S = 30.0

_open: set[asyncio.Task[None]] = set()  # an event loop's own reference to a task is a weak one


def azure_check(endpoint: str, key: str) -> Callable[[str], Awaitable[Failure | None]]:
    """A `safety.Check` that works until the running event loop ends, which closes its connections.

    Nothing is tried twice: a benchmark counts what fails.
    """
    client = ContentSafetyClient(
        endpoint.rstrip("/"),
        AzureKeyCredential(key),
        retry_total=0,
        connection_timeout=TIMEOUT_S,
        read_timeout=TIMEOUT_S,
    )
    closing = asyncio.get_running_loop().create_task(_close_at_the_end(client))
    _open.add(closing)
    closing.add_done_callback(_open.discard)

    async def check(text: str) -> Failure | None:
        for start in range(0, len(text), MOST_CHARACTERS):
            piece = text[start : start + MOST_CHARACTERS]
            try:
                failure = verdict(await client.analyze_text(AnalyzeTextOptions(text=piece)))
            except AzureError as error:
                failure = Failure(FailureKind.SAFETY, f"the check failed: {_first_line(error)}")
            if failure is not None:
                return failure
        return None

    return check


def verdict(result: AnalyzeTextResult) -> Failure | None:
    """Why a text is unsafe. Pure."""
    if not result.categories_analysis:
        return Failure(FailureKind.SAFETY, "the check gave no verdict")
    worst = max(result.categories_analysis, key=lambda each: each.severity or 0)
    if (worst.severity or 0) < UNSAFE_SEVERITY:
        return None
    return Failure(FailureKind.SAFETY, f"unsafe: {worst.category}, severity {worst.severity}")


async def _close_at_the_end(client: ContentSafetyClient) -> None:
    async with client:
        await asyncio.Event().wait()  # until `asyncio.run` cancels what is left


def _first_line(error: AzureError) -> str:
    return str(error).strip().partition("\n")[0]
