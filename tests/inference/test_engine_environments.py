"""Replicas of an engine whose library is not ours run in its environment, where that is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.args import ApplicationArgs
from inference.local import engine_environments
from inference.local.config import from_args
from inference.local.engine_environments import EngineEnvironment, check_environment
from serving.errors import ConfigError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment `far` of the engine `vllm`, not made yet."""
    monkeypatch.setattr(engine_environments, "CACHE", tmp_path)
    environment = EngineEnvironment("no_such_library", "far")
    monkeypatch.setattr(engine_environments, "ENVIRONMENTS", {"vllm": environment})
    return tmp_path


def made(cache: Path) -> str:
    (cache / "far").mkdir()
    (cache / "far" / "installed.txt").touch()
    return str(cache / "far" / "bin" / "python")


ARGS = ApplicationArgs(model_name="m", engine="vllm", target_device="AMD")


def test_one_that_is_not_made_is_said_with_the_command_that_makes_it(cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"'no_such_library'.*run `make far`") as caught:
        check_environment(ARGS)
    assert caught.value.param == "engine"
    made(cache)
    check_environment(ARGS)


def test_replicas_run_in_it(cache: Path) -> None:
    python = made(cache)
    [application] = from_args(ARGS).serve["applications"]
    [deployment] = application["deployments"]
    assert deployment["name"] == "VLLMPredictDeployment"
    assert deployment["ray_actor_options"]["runtime_env"] == {"py_executable": python}


def test_what_the_operator_chose_stays(cache: Path) -> None:
    python = made(cache)
    given = {
        "args": {"model_name": "m", "engine": "vllm", "vllm_device": "cpu"},
        "deployments": [
            {
                "name": "VLLMPredictDeployment",
                "num_replicas": 2,
                "ray_actor_options": {"num_cpus": 1, "runtime_env": {"env_vars": {"A": "b"}}},
            }
        ],
    }
    [deployment] = engine_environments.with_environment(given)["deployments"]
    assert deployment["num_replicas"] == 2
    assert deployment["ray_actor_options"] == {
        "num_cpus": 1,
        "runtime_env": {"env_vars": {"A": "b"}, "py_executable": python},
    }
    options = given["deployments"][0]["ray_actor_options"]
    options["runtime_env"] = {"py_executable": "/mine"}
    [deployment] = engine_environments.with_environment(given)["deployments"]
    assert deployment["ray_actor_options"]["runtime_env"] == {"py_executable": "/mine"}


@pytest.mark.parametrize(
    "args",
    [
        {"engine": "echo"},
        {"target_device": "AMD"},
        {"gpu_count": 1},  # vLLM on GPUs is wherever somebody with GPUs has put it
    ],
)
def test_others_are_left_alone(cache: Path, args: dict[str, object]) -> None:
    made(cache)
    application = {"args": {"model_name": "m", **args}}
    assert engine_environments.with_environment(application) == application
    check_environment(ApplicationArgs(model_name="m", **args))


def test_each_has_a_target_that_makes_it_of_its_own_requirements() -> None:
    root = Path(__file__).parents[2]
    targets = (root / "Makefile").read_text()
    for engine, environment in engine_environments.ENVIRONMENTS.items():
        assert environment.name in targets
        requirements = [f"{environment.name}.txt", f"{environment.name}-cpu.txt"]
        assert any((root / "requirements" / name).is_file() for name in requirements), engine
