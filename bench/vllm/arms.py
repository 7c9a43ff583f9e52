"""The servers of the comparison: one vLLM, told the same everywhere, behind ever more. Pure.

All but the bare one run in `anynode serve`, each in a private Ray of its own. `ray-llm` is what
`ray.serve.llm` builds by default, behind Serve's Python proxy; `ray-llm-direct` is its direct
streaming, behind HAProxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from serving.gpu.vllm_settings import OUR_WORDS

BARE, HAPROXY, PYTHON_PROXY = "bare", "haproxy", "python-proxy"
RAY_LLM, RAY_LLM_DIRECT = "ray-llm", "ray-llm-direct"
ARMS = (BARE, HAPROXY, PYTHON_PROXY, RAY_LLM, RAY_LLM_DIRECT)

MODEL_ID = "bench"
PYTHON = ".cache/vllm/bin/python"  # where vLLM is installed
START_TIMEOUT_S = 600

# In vLLM's words; they suit a laptop, and a cache that holds 64 requests many times over.
ENGINE_ARGUMENTS: Mapping[str, Any] = {
    "dtype": "bfloat16",
    "max_num_seqs": 64,
    "max_model_len": 1024,
    "gpu_memory_utilization": 0.2,  # on CPUs: a share of memory that must be free at the start
    "enforce_eager": True,
}
ENVIRONMENT: Mapping[str, str] = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "auto",  # all cores but one, which is left to serving
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
# `anynode serve` sets this otherwise; in Ray's own application it is as Ray has it.
RAYS_OWN: Mapping[str, str] = {"RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD": "1"}


def bare(model: str) -> dict[str, Any]:
    """vLLM's own server."""
    server = ["-m", "vllm.entrypoints.openai.api_server", "--disable-uvicorn-access-log"]
    where = ["--host", "127.0.0.1", "--port", "{port}"]
    what = ["--model", model, "--served-model-name", MODEL_ID]
    return _arm([*server, *where, *what, *options(ENGINE_ARGUMENTS)], "/health")


def options(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments as a command line; True is an option by itself."""
    said = []
    for name, value in arguments.items():
        said += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    return said


def served(config: str, proxy: str, ready: str) -> dict[str, Any]:
    """A Serve config in `anynode serve`; it is ready when the path `ready` answers."""
    command = ["-m", "inference.cli.main", "serve", config, "--proxy", proxy, "--port", "{port}"]
    return _arm(command, ready)


def _arm(command: list[str], ready: str) -> dict[str, Any]:
    return {
        "command": [PYTHON, *command],
        "env": dict(ENVIRONMENT),
        "ready": ready,
        "start_timeout_s": START_TIMEOUT_S,
    }


def ours(model: str) -> dict[str, Any]:
    """The Serve config of our deployment; what has no word of ours goes to vLLM as it is."""
    return _application(
        import_path="inference:typed_app_builder",
        args={
            "model_name": model,
            "served_model_name": MODEL_ID,
            "vllm_device": "cpu",
            **{
                OUR_WORDS[name]: each
                for name, each in ENGINE_ARGUMENTS.items()
                if name in OUR_WORDS
            },
            "engine_kwargs": {
                name: each for name, each in ENGINE_ARGUMENTS.items() if name not in OUR_WORDS
            },
        },
    )


def ray_llm(model: str) -> dict[str, Any]:
    """The Serve config of what `ray.serve.llm` builds by default.

    Its two ingress replicas ask for no CPU, or they would not fit beside the engine on two cores.
    """
    return _application(
        import_path="ray.serve.llm:build_openai_app",
        runtime_env={"env_vars": dict(RAYS_OWN)},
        args={
            "llm_configs": [_llm_config(model)],
            "ingress_deployment_config": {"ray_actor_options": {"num_cpus": 0}},
        },
    )


def ray_llm_direct(model: str) -> dict[str, Any]:
    """The same with direct streaming, which has no ingress deployment."""
    return _application(
        import_path="ray.serve.llm:build_openai_app",
        runtime_env={"env_vars": {**RAYS_OWN, "RAY_SERVE_LLM_ENABLE_DIRECT_STREAMING": "1"}},
        args={"llm_configs": [_llm_config(model)]},
    )


def _llm_config(model: str) -> dict[str, Any]:
    return {
        "model_loading_config": {"model_id": MODEL_ID, "model_source": model},
        "accelerator_config": {"kind": "cpu"},
        "engine_kwargs": dict(ENGINE_ARGUMENTS),
    }


def _application(**said: Any) -> dict[str, Any]:
    """No line in a log for each request, as with the bare one."""
    return {
        "logging_config": {"enable_access_log": False},
        "applications": [{"name": MODEL_ID, "route_prefix": "/", **said}],
    }
