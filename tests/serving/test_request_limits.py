"""serving.request_limits: what fits is known before anything runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.errors import ContextTooLong, InvalidRequest
from serving.request_limits import answer_length, check_token_ids
from serving.types import SamplingParams

counts = st.integers(1, 100)


@given(counts, counts, counts, st.none() | st.integers(0, 100), st.none() | counts)
def test_an_answer_is_as_long_as_asked_or_as_what_is_left(prompt, length, kv, wish, default):
    params = SamplingParams(max_tokens=wish, default_max_tokens=default)
    room = min(length, kv) - prompt
    if room < 1 or (wish is not None and wish > room):
        with pytest.raises(ContextTooLong):
            answer_length(params, prompt, length, kv)
    else:
        wanted = wish if wish is not None else min(default or room, room)
        assert answer_length(params, prompt, length, kv) == wanted


def test_the_error_names_the_field_and_the_memory_where_that_is_the_limit():
    asked = SamplingParams(max_tokens=10)
    with pytest.raises(ContextTooLong, match="takes 20 in all; shorten") as caught:
        answer_length(asked, 15, 20, 100)
    assert caught.value.param == "max_tokens"
    with pytest.raises(ContextTooLong, match=r"kv_cache_bytes holds 16") as caught:
        answer_length(SamplingParams(), 16, 20, 16)
    assert caught.value.param == "prompt"


def test_a_prompt_without_tokens_is_none():
    with pytest.raises(InvalidRequest, match="no tokens"):
        answer_length(SamplingParams(), 0, 20, 20)


@pytest.mark.parametrize("field", ["logit_bias", "stop_token_ids"])
def test_token_ids_outside_the_vocabulary_are_named(field):
    for token_id in (-1, 50):
        ids = {token_id: 1.0} if field == "logit_bias" else (token_id,)
        with pytest.raises(InvalidRequest, match=rf"{field}: token id {token_id} .*0 to 49"):
            check_token_ids(SamplingParams(**{field: ids}), 50)
    check_token_ids(SamplingParams(logit_bias={0: 1.0, 49: 1.0}, stop_token_ids=(0, 49)), 50)
