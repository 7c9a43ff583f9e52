from __future__ import annotations

import re

import pytest

from serving.http.metrics import METRICS, Metric


def test_names_are_legal_for_ray_and_told_apart():
    names = [metric.name.replace(":", "_") for metric in METRICS]
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_can_be_kept(metric: Metric):
    """Without a cluster Ray keeps metrics all the same; here it must only not refuse them."""
    from serving.http.ray_metrics import RaySink

    sink = RaySink("model")
    if metric.kind == "counter":
        sink.add(metric, 0, "x" if metric.label else None)
        sink.add(metric, 2, "x" if metric.label else None)
    elif metric.kind == "gauge":
        sink.set(metric, 0)
    else:
        sink.observe(metric, 0.5)
