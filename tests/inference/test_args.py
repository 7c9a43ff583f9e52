"""inference.args: what an application's `args:` may say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from inference.args import ApplicationArgs
from inference.local.config import first_reason


def reason(**given: object) -> str:
    with pytest.raises(ValidationError) as caught:
        ApplicationArgs.model_validate(given)
    return first_reason(caught.value)


def test_the_words_in_use_before_anynode_are_understood() -> None:
    args = ApplicationArgs.model_validate(
        {
            "model_name": "/models/llama",
            "data_type": "int8",
            "max_new_token": 256,
            "temperature": 1.0,
            "batch_timeout": 0.1,
            "batch_size": 1,
            "hf_token": "hf_abc",
            "target_device": "amd",
            "model_id": "llama",
        }
    )
    assert args.max_new_tokens == 256
    assert args.served_model_name == "llama"
    assert args.target_device == "AMD"


def test_an_unknown_argument_is_refused_with_the_nearest_one() -> None:
    assert reason(model_name="m", batchsize=4) == (
        "there is no argument 'batchsize' (did you mean 'batch_size'?)"
    )


def test_one_argument_may_not_be_given_under_two_names() -> None:
    assert "'max_new_token' and 'max_new_tokens'" in reason(
        model_name="m", max_new_token=1, max_new_tokens=2
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("batch_size", 0),
        ("temperature", -1),
        ("data_type", "int7"),
        ("target_device", "ARM"),
        ("kv_cache_bytes", "two"),
        ("num_threads", 0),
        ("model_name", ""),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    assert reason(**{"model_name": "m", name: value}).startswith(f"{name}: ")


def test_memory_may_be_given_with_a_unit() -> None:
    args = ApplicationArgs(model_name="m", kv_cache_bytes="2GiB")  # type: ignore[arg-type]
    assert args.kv_cache_bytes == 2 * 1024**3


def test_a_placeholder_is_no_token() -> None:
    assert "HF_TOKEN" in reason(model_name="m", hf_token="<HF_TOKEN>")


def test_a_token_is_never_shown() -> None:
    args = ApplicationArgs(model_name="m", hf_token="hf_secret")  # type: ignore[arg-type]
    assert "hf_secret" not in repr(args) + " ".join(args.notices())


def test_what_changes_nothing_is_said() -> None:
    args = ApplicationArgs(model_name="m", batch_timeout=0.1)
    assert [notice.partition(":")[0] for notice in args.notices()] == ["batch_timeout"]
    assert ApplicationArgs(model_name="m").notices() == []
