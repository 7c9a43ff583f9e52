"""inference.local.preflight: one clear sentence before anything starts."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from inference.args import ApplicationArgs
from inference.local import engine_environments, preflight
from inference.local.config import Application, LocalConfig
from serving.errors import ConfigError
from tests.contract.embedder_contract import TINY_ENCODER

GIB = 1024**3


def application(model_name: object = "m", **changes: Any) -> Application:
    args = ApplicationArgs.model_validate(
        {"model_name": str(model_name), "engine": "onnx"} | changes.pop("args", {})
    )
    fields = {"name": "a", "route_prefix": "", "num_replicas": 1, "num_cpus": 1.0} | changes
    return Application(args=args, **fields)


def test_a_taken_port_is_said_with_another_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port {port} .* --port \d+") as caught:
            preflight.check_port("127.0.0.1", port)
    assert str(port) not in caught.value.message.rpartition("--port")[2]
    preflight.check_port("127.0.0.1", port)


def test_a_key_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANYNODE_API_KEY_FILE", "/no/such/file")
    with pytest.raises(ConfigError, match="ANYNODE_API_KEY_FILE"):
        preflight.check(LocalConfig({"applications": []}))


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match=r"no folder '/no/such/model'"):
        preflight.check_model(application("/no/such/model"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        preflight.check_model(application(tmp_path))


def test_a_checkpoint_that_was_not_converted(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=f"anynode convert {tmp_path}"):
        preflight.check_model(application(tmp_path))


def test_a_converted_model_is_as_big_as_its_graph(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx/model.onnx").write_bytes(b"12")
    (tmp_path / "onnx/model.onnx.data").write_bytes(b"345")
    assert preflight.check_folder(tmp_path) == 5
    preflight.check_model(application(tmp_path))


def test_what_an_engine_refuses_is_said_before_it_starts() -> None:
    with pytest.raises(ConfigError, match="data_type"):
        preflight.check_model(application(args={"data_type": "float16"}))
    with pytest.raises(ConfigError, match="engine_kwargs"):
        preflight.check_model(application(args={"engine": "echo", "engine_kwargs": {"x": 1}}))


def test_an_encoder_is_checked_as_one(tmp_path: Path) -> None:
    for engine in ("onnx", "onnx_embeddings"):
        preflight.check_model(application(TINY_ENCODER, args={"engine": engine}))
        with pytest.raises(ConfigError, match="kv_cache_bytes: this model embeds texts"):
            args = {"engine": engine, "kv_cache_bytes": 1}
            preflight.check_model(application(TINY_ENCODER, args=args))
    for device in ("INTEL", "AMD"):
        args = {"engine": None, "target_device": device}
        preflight.check_model(application(TINY_ENCODER, args=args))
    for name in ("config.json", "modules.json"):
        shutil.copy(TINY_ENCODER / name, tmp_path)
    with pytest.raises(ConfigError, match=f"anynode convert {tmp_path}"):
        preflight.check_model(application(tmp_path))


def test_hub_models_and_engines_without_files_need_no_folder() -> None:
    preflight.check_model(application("owner/name"))
    preflight.check_model(application(args={"engine": "echo"}))


def test_too_little_memory_is_said_in_figures() -> None:
    preflight.check_memory(GIB, GIB, 3 * GIB)
    with pytest.raises(ConfigError, match=r"2\.0 GiB .* 1\.5 GiB .* 3\.0 GiB are free"):
        preflight.check_memory(2 * GIB, 3 * GIB // 2, 3 * GIB)


def test_more_cpus_than_there_are() -> None:
    twice = [application(num_cpus=2, num_replicas=2), application(num_cpus=0.5)]
    preflight.check_cpus(twice, 5)
    with pytest.raises(ConfigError, match=r"4\.5 CPUs together, this machine has 4"):
        preflight.check_cpus(twice, 4)


def test_a_gguf_file_is_looked_for_where_there_is_something_to_serve_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = {"engine": "llama_cpp"}
    monkeypatch.setattr(engine_environments, "CACHE", tmp_path)
    with pytest.raises(ConfigError, match="run `make llama-cpp`"):
        preflight.check_model(application(tmp_path, args=served))
    (tmp_path / "llama-cpp").mkdir()
    (tmp_path / "llama-cpp" / "installed.txt").touch()
    with pytest.raises(ConfigError, match="holds no GGUF file"):
        preflight.check_model(application(tmp_path, args=served))
    (tmp_path / "a.gguf").write_bytes(b"1")
    preflight.check_model(application(tmp_path, args=served))
    preflight.check_model(application(tmp_path / "a.gguf", args=served))


def test_vllm_that_is_not_here_is_said_before_it_starts() -> None:
    with pytest.raises(ConfigError, match="set target_device: AMD or INTEL") as caught:
        preflight.check_model(application(args={"engine": None}))
    assert caught.value.param == "target_device"


def test_gpu_arguments_that_contradict_each_other_come_first() -> None:
    args = {"engine": None, "gpu_count": 2, "replicas_per_gpu": 2}
    with pytest.raises(ConfigError, match="cannot share them"):
        preflight.check_model(application(args=args))


def test_replicas_that_share_gpus_must_fill_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "check_vllm", lambda args: None)
    args = {"engine": None, "replicas_per_gpu": 2}
    preflight.check_model(application(args=args, num_replicas=4))
    with pytest.raises(ConfigError, match="3 replicas / 2 on each GPU"):
        preflight.check_model(application(args=args, num_replicas=3))
