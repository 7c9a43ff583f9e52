from __future__ import annotations

import pytest

from inference.bench.compare import metrics
from inference.bench.report.model import Goodput
from serving.errors import ConfigError
from tests.inference.bench.compare.samples import sample_run


def test_figures_are_found_by_name():
    run = sample_run(tokens_per_s=123.0, ttft_ms=17.0, succeeded=30, failed=10)
    run.goodput = Goodput(objectives_ms={"ttft": 20}, requests_per_s=2.5, share=0.5)
    assert metrics.value(run, "output_tokens_per_s") == 123
    assert metrics.value(run, "ttft_p99_ms") == 17
    assert metrics.value(run, "ttft_mean_ms") == 17
    assert metrics.value(run, "error_rate") == 0.25
    assert metrics.value(run, "goodput_requests_per_s") == 2.5


def test_what_was_not_measured_is_none():
    run = sample_run(ttft_ms=None)
    assert metrics.value(run, "ttft_p50_ms") is None
    assert metrics.value(run, "goodput_share") is None


@pytest.mark.parametrize(
    ("alias", "name"),
    [("tokens_per_s", "output_tokens_per_s"), ("goodput", "goodput_requests_per_s")],
)
def test_aliases_have_one_meaning(alias, name):
    assert metrics.canonical(alias) == name


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no metric 'tftt_p50_ms'.*'ttft_p50_ms'"):
        metrics.canonical("tftt_p50_ms")


def test_a_metric_that_is_like_no_other_names_all():
    with pytest.raises(ConfigError, match="there are requests_per_s, output_tokens_per_s"):
        metrics.canonical("zzz")


def test_every_figure_can_be_asked_of_every_run():
    for name in metrics.FIGURES:
        metrics.value(sample_run(), name)
        metrics.value(sample_run(succeeded=0, failed=3, ttft_ms=None), name)
