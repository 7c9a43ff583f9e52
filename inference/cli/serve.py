"""`anynode serve`: a model folder or a Serve config file, answering on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console

from inference.args import ApplicationArgs
from inference.cli import options
from inference.cli.welcome import welcome
from inference.local import config as local_config
from inference.local import preflight
from inference.local.config import LocalConfig
from inference.local.environment import Proxy
from inference.local.supervisor import StopSignals, Supervisor
from serving.errors import ConfigError
from serving.model_source import GGUF_SUFFIX

DEMO_MODEL = "models/anynode-demo"

console = Console(stderr=True, highlight=False)


def serve(  # noqa: PLR0917  (the command line passes them by name)
    target: options.Target = DEMO_MODEL,
    host: options.Host = None,
    port: options.Port = None,
    proxy: options.Proxy = "haproxy",
    served_model_name: options.ServedModelName = None,
    engine: options.Engine = None,
    target_device: options.TargetDevice = None,
    data_type: options.DataType = None,
    batch_size: options.BatchSize = None,
    max_model_len: options.MaxModelLen = None,
    max_queued_requests: options.MaxQueuedRequests = None,
    kv_cache_bytes: options.KVCacheBytes = None,
    num_threads: options.NumThreads = None,
    verbose: options.Verbose = False,
) -> None:
    """Serve a model on this machine until Ctrl-C."""
    model = {
        "served_model_name": served_model_name,
        "engine": engine,
        "target_device": target_device,
        "data_type": data_type,
        "batch_size": batch_size,
        "max_model_len": max_model_len,
        "max_queued_requests": max_queued_requests,
        "kv_cache_bytes": kv_cache_bytes,
        "num_threads": num_threads,
    }
    given = {name: value for name, value in model.items() if value is not None}
    config = read(target, given, host=host, port=port, proxy=proxy)
    preflight.check(config)
    for note in config.notes:
        console.print(f"note: {note}", style="yellow", markup=False)
    run(config, verbose=verbose)


def read(
    target: str, given: dict[str, Any], *, host: str | None, port: int | None, proxy: Proxy
) -> LocalConfig:
    """The config that `target` stands for: its own if it is one, else one made of `given`."""
    path = Path(target)
    is_gguf = path.suffix == GGUF_SUFFIX
    if path.is_file() and not is_gguf:
        if given:
            option = next(iter(given))
            raise ConfigError(
                f"{option} belongs into the args of {target}, not on the command line"
            )
        return local_config.from_file(path, host=host, port=port, proxy=proxy)
    given.setdefault("num_threads", preflight.num_cpus())
    if "target_device" not in given:
        given.setdefault("engine", "llama_cpp" if is_gguf else "onnx")
    args = ApplicationArgs(model_name=target, **given)
    return local_config.from_args(
        args,
        host=host or local_config.HOST,
        port=local_config.PORT if port is None else port,
        proxy=proxy,
    )


def run(config: LocalConfig, *, verbose: bool) -> None:
    """Start everything, say how to use it, and stay until told to stop."""
    began = time.monotonic()
    with (
        StopSignals() as signals,
        console.status("") as spinner,
        Supervisor(config, signals, verbose=verbose) as supervisor,
    ):
        for event in supervisor.events():
            elapsed_s = time.monotonic() - began
            match event.kind:
                case "stage":
                    console.print(f"{elapsed_s:5.1f} s  {event.text}", style="dim")
                case "tick":
                    spinner.update(f"{elapsed_s:.0f} s")
                case "ready":
                    spinner.stop()
                    print(welcome(config, seconds=elapsed_s), flush=True)
                case "failed":
                    raise ConfigError(event.text)
                case "stop":
                    spinner.stop()
                    console.print("stopping", style="dim")
