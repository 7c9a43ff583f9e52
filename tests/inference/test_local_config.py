"""inference.local.config: the Serve config that runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from inference.args import ApplicationArgs
from inference.gpu_settings import gpu_settings
from inference.local import config as local_config
from inference.local.config import LocalConfig
from serving.errors import ConfigError

ROOT = Path(__file__).parents[2]


def written(folder: Path, **config: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def application(**args: Any) -> dict[str, Any]:
    args = {"model_name": "m"} | args
    return {"name": "a", "import_path": "inference:typed_app_builder", "args": args}


def from_file(path: Path, **given: Any) -> LocalConfig:
    return local_config.from_file(path, **({"host": None, "port": None, "proxy": "python"} | given))


def test_one_model_becomes_one_application_at_the_root() -> None:
    args = ApplicationArgs(model_name="m", engine="echo", batch_size=2)
    config = local_config.from_args(args, port=9000)
    (only,) = config.applications()
    assert only.args.model_copy(update={"loopback_only": False}) == args
    assert config.health_urls() == ["http://127.0.0.1:9000/health"]


def test_a_relative_folder_is_said_from_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    (only,) = local_config.from_args(ApplicationArgs(model_name="mine")).applications()
    assert only.args.model_name == str(tmp_path / "mine")


def test_a_token_reaches_the_application() -> None:
    args = ApplicationArgs(model_name="m", hf_token="hf_x")  # type: ignore[arg-type]
    (only,) = local_config.from_args(args).applications()
    assert only.args.hf_token is not None
    assert only.args.hf_token.get_secret_value() == "hf_x"


@pytest.mark.parametrize(
    ("host", "proxy", "loopback_only"),
    [
        ("127.0.0.1", "haproxy", True),
        ("0.0.0.0", "haproxy", True),
        ("127.0.0.1", "python", True),
        ("0.0.0.0", "python", False),
        ("::", "python", False),
    ],
)
def test_a_replica_hears_others_only_where_they_reach_it_themselves(
    host: str, proxy: Any, loopback_only: bool
) -> None:
    args = ApplicationArgs(model_name="m")
    (only,) = local_config.from_args(args, host=host, proxy=proxy).applications()
    assert only.args.loopback_only is loopback_only


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("box.lan", "http://box.lan:8000"),
    ],
)
def test_the_url_is_one_a_client_here_can_use(host: str, url: str) -> None:
    assert LocalConfig({}, host=host).url == url


def test_a_file_says_where_it_answers_unless_the_command_line_does(tmp_path: Path) -> None:
    path = written(
        tmp_path, http_options={"host": "::1", "port": 1234}, applications=[application()]
    )
    assert (from_file(path).host, from_file(path).port) == ("::1", 1234)
    assert (from_file(path, host="::").host, from_file(path, port=7).port) == ("::", 7)


def test_a_file_that_says_nothing_answers_on_the_loopback_interface(tmp_path: Path) -> None:
    config = from_file(written(tmp_path, applications=[application()]))
    assert (config.host, config.port) == ("127.0.0.1", 8000)


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_bundled_configs_are_good(device: str) -> None:
    config = from_file(ROOT / f"serving/{device}/config.yaml")
    (only,) = config.applications()
    assert only.args.model_name == str(ROOT / "models/anynode-demo")
    assert only.args.uses_vllm is (device == "gpu")
    [deployment] = config.serve["applications"][0]["deployments"]
    assert deployment["name"] == {"cpu": "CPUDeployment", "gpu": "VLLMPredictDeployment"}[device]


def test_the_gpu_config_is_told_to_vllm_as_it_says() -> None:
    (only,) = from_file(ROOT / "serving/gpu/config.yaml").applications()
    told = gpu_settings(only.args)
    assert (told.num_gpus, told.vllm.max_num_seqs, told.vllm.data_type) == (1, 256, "bfloat16")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "while parsing"),
        ("applikations: []", "call it applications"),
        ("hf_token: !!!!!", "anynode migrate .* mends it"),
        ("kind: RayService", "anynode check"),
        ("apiVersion: v1\nkind: Secret", "this machine runs one Serve config"),
    ],
)
def test_a_file_that_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        from_file(path)
    assert caught.value.message.startswith(str(path))
    assert "\n" not in caught.value.message


def test_an_argument_that_is_wrong_is_named_with_its_application(tmp_path: Path) -> None:
    path = written(tmp_path, applications=[application(model_name="m", batch_sise=3)])
    with pytest.raises(ConfigError, match=r"config.yaml:\d+: applications.0.args.batch_sise: .*"):
        from_file(path)


def test_what_works_otherwise_than_it_may_seem_is_noted(tmp_path: Path) -> None:
    (note,) = from_file(
        written(tmp_path, applications=[application(batch_timeout=1, target_device="AMD")])
    ).notes
    assert "batching is continuous" in note
    args = ApplicationArgs(model_name="m", batch_timeout=1)
    assert local_config.from_args(args).notes == tuple(args.notices())


def test_other_peoples_applications_are_left_as_they_are(tmp_path: Path) -> None:
    other = {"name": "b", "route_prefix": "/b", "import_path": "theirs:app", "args": {"x": 1}}
    config = from_file(written(tmp_path, applications=[other]))
    assert config.serve["applications"] == [other]
    assert list(config.applications()) == []
