"""What would fail after Ray has started is said before, in one sentence that names the fix."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from inference.app import cpu_settings
from inference.args import ApplicationArgs
from inference.gpu_settings import gpu_settings
from inference.local import ports
from inference.local.config import Application, LocalConfig
from inference.local.engine_environments import check_environment
from serving.conversion.manifest import converted_folder, read_manifest
from serving.cpu.deployment import NEED_NO_FILES, engine_of, with_actual_engine
from serving.cpu.engines import KNOWN
from serving.engines.openvino import find_model
from serving.errors import ConfigError
from serving.gguf_source import choose_file, parts
from serving.gpu.gpu_arithmetic import check_replicas
from serving.http.auth import ApiKeys
from serving.memory import available_bytes
from serving.model_source import find_folder, is_hub_id, no_such_folder

GIB = 1024**3
ONNX = {"onnx", "onnx_embeddings"}  # engines whose model is a graph that `anynode convert` makes


def check(config: LocalConfig) -> None:
    """Raise ConfigError when this machine cannot run `config` as it is."""
    ApiKeys.from_environment(os.environ)
    check_port(config.host, config.port)
    applications = list(config.applications())
    for application in applications:
        check_model(application)
    check_cpus(applications, num_cpus())


def check_port(host: str, port: int) -> None:
    """Raise ConfigError when somebody else listens there."""
    if not ports.is_free(host, port):
        raise ConfigError(
            f"port {port} on {host} is in use or not ours to open; stop what listens there or "
            f"choose another one, for example --port {ports.free_port()}",
            param="port",
        )


def check_model(application: Application) -> None:
    """Raise ConfigError when the settings cannot work, or the model is missing or too big."""
    args = application.args
    check_environment(args)
    if args.uses_vllm:
        check_vllm(args)
        check_replicas(application.num_replicas, args.replicas_per_gpu or 1)
        return
    settings = cpu_settings(args)
    folder = find_folder(args.model_name)
    settings = with_actual_engine(settings, folder or Path(args.model_name))
    if settings.engine in KNOWN:  # a user's own is imported where it runs, not here
        engine_of(settings, folder or Path(args.model_name), args.num_threads or 1)
    if settings.engine in NEED_NO_FILES or (folder is None and is_hub_id(args.model_name)):
        return
    if folder is None:
        raise no_such_folder(args.model_name)
    if settings.engine == "openvino":
        find_model(folder, settings.engine_settings.get("data_type", "auto"))
    if settings.engine in ONNX:
        check_memory(check_folder(folder), args.kv_cache_bytes or 0, available_bytes())
    if settings.engine == "llama_cpp":
        file = choose_file(folder, args.engine_kwargs.get("gguf_file"))
        size = sum(part.stat().st_size for part in parts(file))
        check_memory(size, args.kv_cache_bytes or 0, available_bytes())


def check_vllm(args: ApplicationArgs) -> None:
    """Raise ConfigError when the arguments contradict each other, or vLLM is not here."""
    settings = gpu_settings(args)
    if not args.vllm_on_cpu and find_spec("vllm") is None:
        raise ConfigError(
            "target_device: without it the model runs on GPUs through vLLM, which is not installed "
            "here; set target_device: AMD or INTEL to run it on the CPU",
            param="target_device",
        )
    folder = find_folder(args.model_name)
    if folder is None and not is_hub_id(args.model_name):
        raise no_such_folder(args.model_name)
    if folder is not None and settings.conversion is not None:
        read_manifest(converted_folder(folder, settings.conversion))


def check_folder(folder: Path) -> int:
    """The size of the graph in `folder` in bytes; ConfigError when there is no model in it."""
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"model_name: {folder} holds no config.json, so it is no model folder; give the folder "
            "that has config.json, the tokenizer and the weights",
            param="model_name",
        )
    graph = [path for path in folder.rglob("*.onnx*") if path.is_file()]
    if not graph:
        raise ConfigError(
            f"model_name: {folder} holds no ONNX graph; make one with: anynode convert {folder}",
            param="model_name",
        )
    return sum(path.stat().st_size for path in graph)


def check_memory(model_bytes: int, kv_cache_bytes: int, free_bytes: int) -> None:
    """Raise ConfigError when weights and KV cache cannot be in memory together."""
    if model_bytes + kv_cache_bytes > free_bytes:
        raise ConfigError(
            f"memory: the model needs {model_bytes / GIB:.1f} GiB for its weights and "
            f"{kv_cache_bytes / GIB:.1f} GiB for its KV cache, but {free_bytes / GIB:.1f} GiB are "
            "free; close something, lower kv_cache_bytes, or take a smaller model",
            param="kv_cache_bytes",
        )


def check_cpus(applications: list[Application], available: int) -> None:
    """Raise ConfigError when Serve would wait for ever for CPUs that are not there."""
    wanted = sum(each.num_cpus * each.num_replicas for each in applications)
    if wanted > available:
        raise ConfigError(
            f"num_cpus: the applications ask for {wanted:g} CPUs together, this machine has "
            f"{available}; lower num_cpus or num_replicas of their deployments",
            param="num_cpus",
        )


def num_cpus() -> int:
    """CPUs this process may run on."""
    return len(os.sched_getaffinity(0))
