"""Touches vLLM: arguments in, a running engine and its OpenAI app out.

It relies on three functions (`make_arg_parser`, `build_app`, `init_app_state`), whose modules move
from release to release, and on `AsyncEngineArgs` and `AsyncLLM`, which have not moved. What vLLM's
own server does around them (sockets, signals, its keys) is not wanted in a replica. Only
`vllm_stat_loggers` touches it besides.

Known to work with 0.32.0; signatures and places compared in 0.27.1, 0.29.0 and 0.33.0.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from starlette.types import ASGIApp

from serving.engine import nearest
from serving.errors import ConfigError, EngineDead
from serving.gpu.vllm_startup import StartupLog
from serving.gpu.vllm_words import command_words, one_sentence
from serving.thread_policy import be_an_engine

# Where releases keep them, the newest first.
CLI_ARGS = (
    "vllm.entrypoints.common.cli_args",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.entrypoints.openai.cli_args",
)
BUILD_APP = ("vllm.entrypoints.launchers.app", "vllm.entrypoints.openai.api_server")
INIT_APP_STATE = (
    "vllm.entrypoints.launchers.api_server.app_state",
    "vllm.entrypoints.openai.api_server",
)
ENGINE_ARGS = ("vllm.engine.arg_utils",)
ASYNC_LLM = ("vllm.v1.engine.async_llm",)
ARGUMENT_PARSER = ("vllm.utils.argparse_utils", "vllm.utils")
PLATFORMS = ("vllm.platforms",)

# Arguments of vLLM's HTTP side that its app honours; the others belong to a server of its own.
APP_ARGUMENTS = frozenset(
    {
        "chat_template",
        "chat_template_content_format",
        "default_chat_template_kwargs",
        "enable_auto_tool_choice",
        "enable_force_include_usage",
        "enable_log_deltas",
        "enable_log_outputs",
        "enable_per_request_metrics",
        "enable_prompt_tokens_details",
        "exclude_tools_when_tool_choice_none",
        "fingerprint_mode",
        "fingerprint_value",
        "lora_modules",
        "max_log_len",
        "response_role",
        "return_tokens_as_token_ids",
        "sse_keep_alive_interval",
        "tool_call_parser",
        "tool_parser_plugin",
        "tool_server",
        "tool_strict_level",
        "trust_request_chat_template",
        "trust_request_mm_kwargs",
    }
)
# What vLLM raises for settings and models that do not work; anything else is a fault of its own.
START_ERRORS = (ValueError, RuntimeError, OSError, NotImplementedError, AssertionError)
SHUTDOWN_S = 5.0  # what running requests and worker processes get to end in good order


def find(name: str, modules: Sequence[str]) -> Any:
    """`name` from the first of `modules` that has it; ConfigError when this vLLM has it nowhere."""
    for module in modules:
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if error.name == "vllm":
                raise ConfigError(
                    "vLLM is not installed here; install it, or set target_device to run the model "
                    "with the engines for CPUs"
                ) from error
            if not module.startswith(error.name or "?"):  # a library of vLLM's, not its own module
                raise
        except AttributeError:
            continue
    raise ConfigError(
        f"this version of vLLM has no {name} in {' or '.join(modules)}; install the version that "
        "requirements/ names"
    )


def engine_argument_types() -> dict[str, str]:
    """What `engine_kwargs` may hold: the name of each argument, and its type in vLLM's words."""
    engine_args = find("AsyncEngineArgs", ENGINE_ARGS)
    types = {field.name: str(field.type) for field in dataclasses.fields(engine_args)}
    defaults = vars(_parser().parse_args([]))
    types.update({name: type(defaults[name]).__name__ for name in APP_ARGUMENTS & defaults.keys()})
    return types


def parse_arguments(arguments: Mapping[str, Any]) -> Any:
    """vLLM's own namespace for `arguments`, with its conversions and its checks.

    Raises ConfigError: an unknown name gets the nearest right one, a wrong value vLLM's sentence.
    """
    known = engine_argument_types()
    for name in arguments:
        if name not in known:
            raise ConfigError(
                f"engine_kwargs.{name}: vLLM has no such argument{nearest(name, list(known))}",
                param="engine_kwargs",
            )
    parser = _parser()
    words = command_words(arguments, vars(parser.parse_args([])))
    try:
        args = parser.parse_args(words)
        find("validate_parsed_serve_args", CLI_ARGS)(args)
    except argparse.ArgumentError as error:
        raise _wrong_argument(error.argument_name or "", error.message) from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"engine_kwargs: {one_sentence(str(error))}", param="engine_kwargs"
        ) from error
    return args


def _parser() -> Any:
    # exit_on_error: a wrong argument is raised, it does not end the process.
    parser = find("FlexibleArgumentParser", ARGUMENT_PARSER)(exit_on_error=False)
    return find("make_arg_parser", CLI_ARGS)(parser)


def _wrong_argument(flags: str, message: str) -> ConfigError:
    name = flags.partition("/")[0].lstrip("-").replace("-", "_")
    return ConfigError(f"engine_kwargs.{name}: {message}", param="engine_kwargs")


class VLLMEngine:
    """A running vLLM and the ASGI app that speaks for it; made by `start_engine`."""

    def __init__(self, client: Any, app: Any) -> None:
        self._client = client
        self.app: ASGIApp = app
        self.max_model_len: int = client.model_config.max_model_len
        chat = getattr(app.state, "openai_serving_chat", None)
        # A vLLM that does not tell is taken to have a parser.
        self.parses_chat: bool = getattr(chat, "parser_cls", ...) is not None

    @property
    def routes(self) -> list[Any]:
        """vLLM's own routes."""
        return list(getattr(self.app, "routes", []))

    @property
    def num_unfinished(self) -> int:
        """Sequences that vLLM runs or lets wait."""
        count: int = self._client.output_processor.get_num_unfinished_requests()
        return count

    async def check_health(self) -> None:
        """Raise EngineDead if requests can no longer be served."""
        if self._client.errored:
            raise EngineDead("vLLM's engine process has died.")
        await self._client.check_health()

    async def unload(self) -> None:
        """Cancel what runs and end vLLM's processes before returning; safe to call twice."""
        await asyncio.to_thread(self._client.shutdown, SHUTDOWN_S)


async def start_engine(
    arguments: Mapping[str, Any],
    *,
    startup: StartupLog,
    stat_loggers: Sequence[Any] | None = None,
) -> VLLMEngine:
    """vLLM with `arguments` (names of its engine arguments), ready to serve.

    Importing vLLM and reading weights happen in a thread; the event loop that will use it goes on.
    Raises ConfigError when it cannot start, with the cause from `startup` where vLLM logged one.
    """
    args = await asyncio.to_thread(parse_arguments, arguments)
    try:
        client = await asyncio.to_thread(_start_client, args, stat_loggers)
    except START_ERRORS as error:
        raise _cannot_start(error, startup) from error
    try:
        tasks = await client.get_supported_tasks()
        app = find("build_app", BUILD_APP)(args, tasks, client.model_config)
        app.state.server = SimpleNamespace()  # vLLM's handlers tell it to end when the engine dies
        await find("init_app_state", INIT_APP_STATE)(client, app.state, args, tasks)
    except BaseException as error:
        client.shutdown(SHUTDOWN_S)
        if isinstance(error, START_ERRORS):
            raise _cannot_start(error, startup) from error
        raise
    return VLLMEngine(client, app)


def _start_client(args: Any, stat_loggers: Sequence[Any] | None) -> Any:
    be_an_engine()  # for the processes that vLLM starts from here
    return find("AsyncLLM", ASYNC_LLM).from_engine_args(
        find("AsyncEngineArgs", ENGINE_ARGS).from_cli_args(args),
        stat_loggers=None if stat_loggers is None else list(stat_loggers),
    )


def _cannot_start(error: BaseException, startup: StartupLog) -> ConfigError:
    reason = one_sentence(startup.cause() or str(error) or type(error).__name__)
    return ConfigError(f"vLLM could not start: {reason}")


def device_memory_bytes() -> int:
    """All memory of one device (GPU of any make, or the CPU's) as vLLM's platform reports it."""
    total: int = find("current_platform", PLATFORMS).get_device_total_memory()
    return total


def num_gpus_given() -> int:
    """GPUs, of any make, that Ray gave the replica we are in."""
    return len(find("get_gpu_ids", ("ray",))())
