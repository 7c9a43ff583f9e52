"""The seam: what every engine promises, and the table of the engines we ship.

An engine turns a GenerateRequest into chunks and knows nothing of HTTP or Ray. Adding one touches
its own file, one line of ENGINES and one extra in pyproject.toml; a user's own engine touches
nothing: it is named as `package.module:Class` where a name from the table would stand.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import AsyncGenerator, Collection, Mapping
from typing import Any, Protocol

from serving.errors import ConfigError
from serving.types import Chunk, EngineSettings, GenerateRequest, Occupancy

ENGINES = {
    "onnx": "serving.engines.onnx:OnnxEngine",
    "openvino": "serving.engines.openvino:OpenVINOEngine",
    "llama_cpp": "serving.engines.llama_cpp:LlamaCppEngine",
    "transformers": "serving.engines.transformers:TransformersEngine",
    "optimum": "serving.engines.optimum:OptimumEngine",
    "ipex_llm": "serving.engines.ipex_llm:IpexLlmEngine",
    "echo": "serving.engines.echo:EchoEngine",
}

# What an engine may honour beyond plain text in, plain text out. The HTTP face refuses, by name,
# a field that needs something the engine does not list.
CAPABILITIES = frozenset(
    {
        "chat",  # prompts may be messages
        "sampling",  # temperature, top_p, top_k, min_p, seed
        "penalties",  # presence, frequency, repetition
        "logit_bias",
        "stop_token_ids",
        "min_tokens",
        "ignore_eos",
        "logprobs",
        "prompt_logprobs",
    }
)


class Engine(Protocol):
    """One loaded model. All methods are called on one event loop and must not block it."""

    capabilities: frozenset[str]
    max_model_len: int  # valid after load()

    def __init__(self, settings: EngineSettings) -> None:
        """Check the settings (ConfigError names the wrong one); load nothing yet."""

    async def load(self) -> None:
        """Return when ready to serve. Raises ConfigError with the fix when it cannot be."""

    def generate(self, request: GenerateRequest) -> AsyncGenerator[Chunk, None]:
        """Yield chunks until every choice has finished; closing the generator cancels the request.

        The first chunk carries `prompt`. Chunks of one choice come in order; those of different
        choices interleave. Raises InvalidRequest before the first chunk if the request cannot be
        served, EngineDead at any time.
        """

    def occupancy(self) -> Occupancy:
        """How busy the engine is at this moment; cheap."""

    async def check_health(self) -> None:
        """Raise EngineDead if requests can no longer be served."""

    async def unload(self) -> None:
        """Cancel what runs and free the memory before returning; safe to call twice."""


def nearest(word: str, known: list[str]) -> str:
    """` (did you mean 'x'?)` for the known word closest to `word`, or nothing."""
    match = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean '{match[0]}'?)" if match else ""


def not_installed(engine: str, error: ModuleNotFoundError) -> ConfigError:
    """The one sentence for an engine whose library is not here."""
    return ConfigError(
        f"engine: '{engine}' needs the Python module '{error.name}', which is not installed here",
        param="engine",
    )


def create_engine(name: str, settings: EngineSettings) -> Engine:
    """The engine called `name` in ENGINES, or the class that `package.module:Class` names.

    Raises ConfigError when there is no such engine or its library is not installed.
    """
    engine: Engine = find_class(name, ENGINES)(settings)
    return engine


def find_class(name: str, table: Mapping[str, str]) -> Any:
    """The class called `name` in a table of engines, or named as `package.module:Class`.

    Raises ConfigError when there is no such class or its library is not installed.
    """
    check_name(name, table)
    module_name, _, class_name = table.get(name, name).partition(":")
    try:
        return getattr(importlib.import_module(module_name), class_name)
    except ModuleNotFoundError as error:
        raise not_installed(name, error) from error
    except AttributeError as error:
        raise ConfigError(
            f"engine: module {module_name} has no class {class_name}", param="engine"
        ) from error


def check_name(name: str, table: Collection[str]) -> None:
    """Raise ConfigError for a name that neither stands in a table of engines nor is a class's."""
    if name not in table and ":" not in name:
        hint = nearest(name, list(table))
        raise ConfigError(
            f"engine: there is no '{name}'{hint}; known are {', '.join(sorted(table))}, "
            "or name your own as package.module:Class",
            param="engine",
        )
