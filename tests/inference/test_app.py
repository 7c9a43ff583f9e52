"""inference.app: from arguments to a Serve application."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import pytest
from pydantic import ValidationError
from ray.serve import Application
from ray.serve._private.api import call_user_app_builder_with_args_if_necessary as ray_calls

import inference
from inference import cluster
from inference.app import cpu_settings, typed_app_builder
from inference.args import ApplicationArgs
from inference.gpu_settings import gpu_settings
from serving.errors import ConfigError


def args(**given: Any) -> ApplicationArgs:
    return ApplicationArgs.model_validate({"model_name": "models/anynode-demo", **given})


def test_both_import_paths_name_the_builder() -> None:
    from ray._common.utils import import_attr

    for path in ("inference:typed_app_builder", "inference.typed_app_builder"):
        assert import_attr(path) is typed_app_builder
    with pytest.raises(AttributeError):
        _ = inference.no_such_name


def test_ray_validates_the_arguments() -> None:
    """It does so only while the annotation is the class itself and not a string."""
    (parameter,) = inspect.signature(typed_app_builder).parameters.values()
    assert parameter.annotation is ApplicationArgs
    with pytest.raises(ValidationError, match="did you mean 'batch_size'"):
        ray_calls(typed_app_builder, {"model_name": "m", "target_device": "AMD", "batch_sise": 2})


def test_the_deployment_holds_what_runs_and_what_waits() -> None:
    application = ray_calls(
        typed_app_builder,
        {"model_name": "m", "target_device": "AMD", "batch_size": 4, "max_queued_requests": 10},
    )
    assert isinstance(application, Application)
    deployment = application._bound_deployment
    assert deployment.name == "CPUDeployment"
    assert deployment.max_ongoing_requests > 14
    assert deployment.max_queued_requests == -1


@pytest.mark.parametrize(("device", "engine"), [("AMD", "onnx"), ("INTEL", "openvino")])
def test_the_device_chooses_the_engine_and_the_log_says_why(
    device: str, engine: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert cpu_settings(args(target_device=device)).engine == engine
    with caplog.at_level(logging.INFO):
        typed_app_builder(args(target_device=device, batch_timeout=1))
    assert f"target_device is {device}" in caplog.text
    assert "batch_timeout" in caplog.text


def test_an_engine_of_ones_own_needs_no_table_entry() -> None:
    assert cpu_settings(args(engine="mine.here:Engine")).engine == "mine.here:Engine"


@pytest.mark.parametrize(
    ("given", "param", "words"),
    [
        ({"target_device": "AMD", "cache_8bit": True}, "cache_8bit", "leave cache_8bit out"),
        ({"data_type": "int8"}, "data_type", "load_in_8bit"),
        ({"gpu_count": 2, "replicas_per_gpu": 2}, "replicas_per_gpu", "cannot share them"),
        ({"target_device": "AMD", "gpu_count": 1}, "gpu_count", "leave gpu_count out"),
        ({"vllm_device": "cpu", "load_in_8bit": True}, "load_in_8bit", "on GPUs only"),
        ({"gpu_memory_utilization": 0.5, "kv_cache_bytes": 9}, "kv_cache_bytes", "give one of"),
        ({"engine": "onx"}, "engine", "did you mean 'onnx'"),
        ({"pin_cores": True}, "pin_cores", "leave pin_cores out"),
        ({"replicas_per_socket": 2}, "replicas_per_socket", "leave replicas_per_socket out"),
    ],
)
def test_what_cannot_work_is_refused_by_name(given: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        typed_app_builder(args(**given))
    assert caught.value.param == param


def test_vllm_may_be_named_as_the_engine_of_a_cpu() -> None:
    given = {"model_name": "m", "target_device": "AMD", "engine": "vllm", "data_type": "int8"}
    deployment = ray_calls(typed_app_builder, given)._bound_deployment
    assert deployment.name == "VLLMPredictDeployment"
    assert deployment.ray_actor_options["num_gpus"] == 0
    settings = gpu_settings(args(**given))
    assert (settings.wanted, settings.conversion) == (None, "vllm")
    assert settings.vllm.data_type == "auto"  # the converted checkpoint says what it is
    plain = gpu_settings(args(**{**given, "data_type": "bfloat16"}))
    assert (plain.conversion, plain.vllm.data_type) == (None, "bfloat16")


def test_settings_go_where_they_belong() -> None:
    settings = cpu_settings(
        args(
            target_device="AMD",
            served_model_name="demo",
            batch_size=3,
            max_new_tokens=7,
            temperature=0.5,
            request_timeout_s=9,
            max_model_len=99,
            kv_cache_bytes=1000,
            hf_token="hf_x",
            loopback_only=True,
            replicas_per_socket=2,
            pin_cores=False,
        )
    )
    assert (settings.target_device, settings.replicas_per_socket) == ("AMD", 2)
    assert not settings.pin_cores
    assert settings.face.model_id == "demo"
    assert settings.face.max_num_seqs == 3
    assert settings.face.default_max_tokens == 7
    assert settings.face.default_temperature == 0.5
    assert settings.face.request_timeout_s == 9
    assert settings.face.loopback_only
    assert settings.engine_settings["max_model_len"] == 99
    assert settings.engine_settings["kv_cache_bytes"] == 1000
    assert "hf_x" not in repr(settings)


@pytest.mark.parametrize(
    ("model_name", "name"),
    [
        ("/mnt/models/llama-7b/", "llama-7b"),
        ("models/anynode-demo", "anynode-demo"),
        ("owner/name", "owner/name"),
    ],
)
def test_callers_say_the_folders_name_or_the_hub_id(model_name: str, name: str) -> None:
    settings = cpu_settings(ApplicationArgs(model_name=model_name, engine="echo"))
    assert settings.face.model_id == name


def test_without_a_device_the_model_runs_on_gpus() -> None:
    application = ray_calls(
        typed_app_builder, {"model_name": "m", "gpu_count": 4, "batch_size": 16}
    )
    deployment = application._bound_deployment
    assert deployment.name == "VLLMPredictDeployment"
    assert deployment.ray_actor_options["num_gpus"] == 4
    assert deployment.max_ongoing_requests > 16 + 128


def deployment_options(**given: object) -> dict[str, Any]:
    application = ray_calls(typed_app_builder, {"model_name": "m", **given})
    options: dict[str, Any] = application._bound_deployment.ray_actor_options
    return options


def test_nodes_are_chosen_by_product_and_labels() -> None:
    gpu = deployment_options(accelerator_type="L4", label_selector={"zone": "a"})
    assert (gpu["accelerator_type"], gpu["label_selector"]) == ("L4", {"zone": "a"})
    cpu = deployment_options(engine="echo", label_selector={"cpu-vendor": "AMD"})
    assert cpu["label_selector"] == {"cpu-vendor": "AMD"}


def test_what_the_cluster_can_never_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "gpus_of_nodes", lambda: [2, 0])
    monkeypatch.setattr(cluster, "grows", lambda: False)
    with pytest.raises(ConfigError, match="set gpu_count: 2 or less"):
        typed_app_builder(args(gpu_count=4))
    assert deployment_options(gpu_count=2)["num_gpus"] == 2


def test_a_cluster_that_grows_may_grow_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "gpus_of_nodes", lambda: [0])
    monkeypatch.setattr(cluster, "grows", lambda: True)
    assert deployment_options(gpu_count=4)["num_gpus"] == 4


def test_gpus_that_would_stay_idle_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cluster, "gpus_of_nodes", lambda: [8, 8])
    monkeypatch.setattr(cluster, "grows", lambda: False)
    typed_app_builder(args(gpu_count=3))
    assert caplog.text.count("8 GPUs / 3 for each replica = 2 replicas and 2 left over") == 1
