"""What a server says of itself before it is measured: its models, its version, its hardware."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import httpx

from inference.bench.client.urls import address, base_url
from inference.bench.report.model import ServerReport
from serving.errors import ConfigError

TIMEOUT_S = 5.0  # for each route


def server(url: str, headers: Mapping[str, str], arm: str = "") -> ServerReport:
    """Ask any OpenAI-compatible server; a route that it does not have leaves its part empty.

    `url` is its base, its `/v1` or an endpoint of it. Raises ConfigError if nothing answers there,
    or if it wants a key that `headers` do not hold.
    """
    address(url, "chat")  # refuses what is no URL
    base = base_url(url)
    with _client(base, headers) as client:
        models = _first(client, base)
        version = _later(client, "/version")
        health = _later(client, "/health")
    resources = {**_object(health.get("resources")), **_object(version.get("resources"))}
    return ServerReport(
        arm=arm,
        url=base,
        models=list(_model_ids(models)),
        version=version,
        num_gpus=_whole(resources.get("num_gpus")),
        num_cores=_whole(resources.get("num_cpus")),
    )


def model_id(server: ServerReport, asked: str | None) -> str:
    """The model to ask for: `asked`, or else the first that the server names."""
    if asked is None:
        if server.models:
            return server.models[0]
        raise ConfigError(f"{server.url} does not say which models it has; name one with --model")
    if not server.models or asked in server.models:
        return asked
    nearest = get_close_matches(asked, server.models, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    known = ", ".join(server.models)
    raise ConfigError(f"--model: {server.url} has no {asked!r}; {hint}it has: {known}")


def _client(base: str, headers: Mapping[str, str]) -> httpx.Client:
    """As direct as the benchmark's own connections: no proxy of the environment, same trust."""
    return httpx.Client(
        base_url=base,
        headers=dict(headers),
        timeout=TIMEOUT_S,
        trust_env=False,
        verify=ssl.create_default_context(),
    )


def _first(client: httpx.Client, base: str) -> dict[str, Any]:
    """The answer of /v1/models; the request that finds out whether anybody is there."""
    try:
        answer = client.get("/v1/models")
    except httpx.ConnectError as error:
        raise ConfigError(
            f"nothing answers at {base}: {reason(error)}; is the server running?"
        ) from error
    except httpx.TimeoutException as error:
        raise ConfigError(
            f"{base} gives no answer within {TIMEOUT_S:g} s; is the server overloaded?"
        ) from error
    except httpx.TransportError as error:
        raise ConfigError(f"what answers at {base} is no HTTP server: {reason(error)}") from error
    if answer.status_code in {401, 403}:
        raise ConfigError(
            f"{base} answers {answer.status_code}: put its key into ANYNODE_API_KEY, "
            "or give --header 'Authorization: Bearer …'"
        )
    return _json_object(answer)


def _later(client: httpx.Client, route: str) -> dict[str, Any]:
    """What a route says; nothing if it is not there."""
    try:
        return _json_object(client.get(route))
    except httpx.TransportError:
        return {}


def reason(error: BaseException) -> str:
    """Why a connection failed, in the system's own words where it has some."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__


def _json_object(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        return {}
    try:
        return _object(answer.json())
    except (json.JSONDecodeError, UnicodeDecodeError):
        return {}


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _model_ids(models: dict[str, Any]) -> Iterator[str]:
    entries = models.get("data")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(name := _object(entry).get("id"), str):
            yield name


def _whole(value: object) -> int | None:
    """A number of GPUs or cores; a share of one divides nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and value == int(value) else None
