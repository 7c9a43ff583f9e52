"""Lengths in a few characters."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.prompts.lengths import fixed, parse_length
from serving.errors import ConfigError

FORMS = st.one_of(
    st.integers(1, 5000).map(str),
    st.tuples(st.integers(1, 100), st.integers(100, 5000)).map("{0[0]}:{0[1]}".format),
    st.tuples(st.floats(1, 5000), st.floats(0, 500)).map("normal:{0[0]},{0[1]}".format),
    st.tuples(st.floats(1, 5000), st.floats(0, 3)).map("lognormal:{0[0]},{0[1]}".format),
)


@given(FORMS, st.text())
def test_a_length_is_at_least_one_and_belongs_to_its_key(form, key):
    length = parse_length(form, "--prompt-tokens")
    assert length.draw(key) >= length.shortest >= 1
    assert length.draw(key) == parse_length(form, "--prompt-tokens").draw(key)


@pytest.mark.parametrize(
    ("form", "middle", "low", "high"),
    [
        ("100", 100, 100, 100),
        ("50:150", 100, 50, 150),
        ("normal:100,10", 100, 50, 150),
        ("lognormal:100,0.5", 100, 10, 1000),
    ],
)
def test_each_form_has_its_middle_and_its_width(form, middle, low, high):
    drawn = [parse_length(form, "x").draw(str(number)) for number in range(2000)]
    assert statistics.median(drawn) == pytest.approx(middle, rel=0.05)
    assert min(drawn) >= low
    assert max(drawn) <= high


def test_a_fixed_length_is_one():
    assert fixed(7) == parse_length("7", "x")


@pytest.mark.parametrize(
    "text",
    ["", "many", "0", "-3", "9:3", "0:3", "normal:5", "normal:5,x", "lognormal:0,1", "normal:1,-1",
     "zipf:3,4", "1.5", "normal:nan,1", "1:2:3", "lognormal:5,inf", "normal:5,1e300", "99999999"],
)  # fmt: skip
def test_anything_else_is_refused_with_the_option_and_the_forms(text):
    with pytest.raises(ConfigError) as refused:
        parse_length(text, "--output-tokens")
    assert "--output-tokens" in refused.value.message
    assert "64:256" in refused.value.message
