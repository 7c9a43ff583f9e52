"""A model's facts from the Hugging Face Hub: config.json and headers, never weights.

Two or three small requests: the index of the weights tells their bytes, and where a model is one
file, the first bytes of it do.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import httpx

from inference.plan.model_facts import (
    HEADER_LIMIT,
    ModelFacts,
    of_config,
    read_header,
    tensor_bytes,
)
from serving.errors import ConfigError

TIMEOUT_S = 5.0
FIRST_BYTES = 2**20  # a header of one file is rarely longer
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"


def of_hub(source: str, *, token: str | None = None, endpoint: str | None = None) -> ModelFacts:
    """Facts of `owner/name`; raises ConfigError naming what to do where it cannot be had."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    try:
        base = f"{endpoint or _endpoint()}/{source}/resolve/main"
        with httpx.Client(headers=headers, timeout=TIMEOUT_S, follow_redirects=True) as client:
            config = _get(client, f"{base}/config.json").json()
            size = _weight_bytes(client, base)
    except httpx.HTTPStatusError as error:
        raise _refused(source, error.response.status_code) from error
    except (httpx.HTTPError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ConfigError(
            f"source: '{source}' is no folder here and not in the built-in table, and the Hugging "
            f"Face Hub could not be asked ({str(error) or type(error).__name__}); give the path of "
            "a folder with its config.json and weights",
            param="source",
        ) from error
    return of_config(source, config, size, "config.json and headers on the hub")


def _endpoint() -> str:
    from huggingface_hub import constants  # comes with transformers; honours HF_ENDPOINT

    if constants.HF_HUB_OFFLINE:
        raise ValueError("HF_HUB_OFFLINE is set")
    return str(constants.ENDPOINT)


def _get(client: httpx.Client, url: str) -> httpx.Response:
    response = client.get(url)
    response.raise_for_status()
    return response


def _weight_bytes(client: httpx.Client, base: str) -> int:
    index = client.get(f"{base}/{INDEX}")
    if index.status_code == httpx.codes.NOT_FOUND:
        return tensor_bytes(_header(client, f"{base}/{SINGLE}"))
    index.raise_for_status()
    return int(index.json()["metadata"]["total_size"])


def _header(client: httpx.Client, url: str) -> dict[str, Any]:
    """Of one file; asked for again where it is longer than usual."""
    start = _first_bytes(client, url, FIRST_BYTES)
    (length,) = struct.unpack("<Q", start[:8])
    if length + 8 > len(start):
        start = _first_bytes(client, url, min(length, HEADER_LIMIT) + 8)
    return read_header(io.BytesIO(start))


def _first_bytes(client: httpx.Client, url: str, number: int) -> bytes:
    """Leaves the rest where it is, even if the server would send it all."""
    found = b""
    with client.stream("GET", url, headers={"range": f"bytes=0-{number - 1}"}) as response:
        response.raise_for_status()
        for piece in response.iter_bytes():
            found += piece
            if len(found) >= number:
                break
    return found[:number]


def _refused(source: str, status: int) -> ConfigError:
    if status in (401, 403):
        fix = (
            "it is gated or private on the Hugging Face Hub; accept its terms there and set "
            "HF_TOKEN in the environment to a token of that account"
        )
    elif status == 404:
        fix = "the Hugging Face Hub has no safetensors of such a model; correct the name"
    else:
        fix = f"the Hugging Face Hub answered {status}; try again, or give a folder"
    return ConfigError(f"source: '{source}': {fix}", param="source")
