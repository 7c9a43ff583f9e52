"""Longer contexts than a model was trained for: `alpha_value`, `compress_pos_emb`, or vLLM's own
`hf_overrides`.
"""

from __future__ import annotations

import random
from typing import Any

import pytest

from serving.gpu.vllm_adapter import ENGINE_ARGS, find, parse_arguments
from serving.gpu.vllm_settings import VLLMSettings, vllm_arguments
from serving.model_shape import read_config
from tests.vllm.conftest import replica
from tests.vllm.reference import Reference
from tests.vllm.served import DEMO_MODEL, MODEL

TRAINED = read_config(DEMO_MODEL)["max_position_embeddings"]
LONGER = 2 * TRAINED
MAX_TOKENS = 12
NTK_THETA = 10_000.0 * 2 ** (64 / 62)  # of alpha 2 and heads of 64
YARN = {
    "max_position_embeddings": LONGER,  # vLLM takes it to hold the factor already
    "rope_parameters": {
        "rope_type": "yarn",
        "factor": 2.0,
        "rope_theta": 10_000.0,
        "original_max_position_embeddings": TRAINED,
    },
}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def model_config(**settings: Any) -> Any:
    """What vLLM makes of the settings, without starting."""
    told = VLLMSettings(**settings)
    arguments = vllm_arguments(told, DEMO_MODEL, (MODEL,), model_config=read_config(DEMO_MODEL))
    engine_args = find("AsyncEngineArgs", ENGINE_ARGS).from_cli_args(parse_arguments(arguments))
    return engine_args.create_model_config()


@pytest.mark.parametrize(
    ("settings", "rope"),
    [
        ({"alpha_value": 2}, {"rope_type": "default", "rope_theta": NTK_THETA}),
        (
            {"compress_pos_emb": 2},
            {"rope_type": "linear", "factor": 2, "rope_theta": 10_000.0},
        ),
        (
            {"alpha_value": 2, "compress_pos_emb": 2},
            {"rope_type": "linear", "factor": 2, "rope_theta": NTK_THETA},
        ),
        ({"engine_kwargs": {"hf_overrides": YARN}}, {"rope_type": "yarn", "factor": 2}),
    ],
)
def test_vllm_takes_the_scaling_and_the_longer_context(settings, rope) -> None:
    config = model_config(**settings, max_model_len=LONGER)
    assert config.max_model_len == LONGER
    taken = config.hf_text_config.rope_parameters
    assert {name: taken[name] for name in rope} == pytest.approx(rope)


def test_without_scaling_a_longer_context_is_refused() -> None:
    with pytest.raises(ValueError, match="max_model_len"):
        model_config(max_model_len=LONGER)


def test_a_longer_prompt_is_answered_as_the_reference_answers_it() -> None:
    scaled = Reference(
        rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": NTK_THETA},
        max_position_embeddings=LONGER,
    )
    chance = random.Random(0)
    prompts = [scaled.ids("What is 7 - 2?")]
    prompts.append([chance.randrange(3, scaled.model.config.vocab_size) for _ in range(5000)])
    expected = [scaled.continuation(ids, MAX_TOKENS) for ids in prompts]
    unscaled = Reference()
    for ids, text in zip(prompts, expected, strict=True):
        assert text != unscaled.continuation(ids, MAX_TOKENS), "the scaling changes answers"
    with replica(
        alpha_value=2,
        compress_pos_emb=2,
        max_model_len=LONGER,
        max_input_len=None,
        data_type="float32",
    ) as served:
        for ids, text in zip(prompts, expected, strict=True):
            answer = served.ask(ids, max_tokens=MAX_TOKENS, temperature=0)
            assert answer.json()["choices"][0]["text"] == text
        too_long = served.ask([5] * (LONGER + 1), max_tokens=1)
        assert too_long.json()["error"]["code"] == "context_length_exceeded"
