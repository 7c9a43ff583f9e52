"""A vLLM that cannot start says why, in one sentence; arguments are checked before it tries."""

from __future__ import annotations

import pytest

from serving.errors import ConfigError
from serving.gpu.vllm_adapter import engine_argument_types, parse_arguments

# Importing torch and vLLM into this process says much that is not about us.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def test_engine_arguments_are_known_with_their_types() -> None:
    types = engine_argument_types()
    assert "bool" in types["enforce_eager"]
    assert "tool_call_parser" in types
    assert not {"host", "port", "api_key", "root_path"} & types.keys()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"enforce_eagre": True}, "enforce_eagre: .*did you mean 'enforce_eager'"),
        ({"port": 8000}, "engine_kwargs.port: vLLM has no such argument"),
        ({"seed": "many"}, "engine_kwargs.seed: invalid int value: 'many'"),
        ({"scheduling_policy": "lifo"}, "engine_kwargs.scheduling_policy: invalid choice"),
        ({"enforce_eager": "yes"}, "engine_kwargs.enforce_eager"),
        ({"enable_auto_tool_choice": True}, "tool-call-parser"),
    ],
)
def test_wrong_arguments_are_named(arguments, words) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_arguments({"model": "m", **arguments})


def test_every_kind_of_value_arrives() -> None:
    args = parse_arguments(
        {
            "model": "m",
            "served_model_name": ["a", "b"],
            "enforce_eager": True,
            "enable_prefix_caching": False,
            "hf_overrides": {"rope_parameters": {"rope_type": "linear", "factor": 2.0}},
            "gpu_memory_utilization": 0.25,
            "max_model_len": None,
            "lora_modules": ["x=/somewhere"],
        }
    )
    assert args.served_model_name == ["a", "b"]
    assert (args.enforce_eager, args.enable_prefix_caching) == (True, False)
    assert args.hf_overrides["rope_parameters"]["factor"] == 2.0
    assert args.gpu_memory_utilization == 0.25
    assert args.max_model_len is None
    assert args.lora_modules[0].name == "x"
