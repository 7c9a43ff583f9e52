"""The same metrics through Ray, which exports them with those of the cluster.

Imported only when the deployment asks for it: the HTTP face itself knows nothing of Ray. Ray
replaces nothing in names, so the colon becomes an underscore here, and Ray adds `ray_` and, for
counters, `_total`: `ray_vllm_generation_tokens_total`.
"""

from __future__ import annotations

from typing import Any

from ray.util.metrics import Counter, Gauge, Histogram

from serving.http.metrics import METRICS, Metric


class RaySink:
    """Keeps the metrics of one model in Ray's own registry; needs a running Ray worker."""

    def __init__(self, model_name: str) -> None:
        self._metrics = {metric.name: _ray_metric(metric, model_name) for metric in METRICS}

    def add(self, metric: Metric, value: float, label: str | None = None) -> None:
        """Count `value` more; Ray refuses to count nothing."""
        if value > 0:
            tags = {metric.label: label} if metric.label else None
            self._metrics[metric.name].inc(value, tags=tags)

    def set(self, metric: Metric, value: float) -> None:
        """The gauge stands at `value` now."""
        self._metrics[metric.name].set(value)

    def observe(self, metric: Metric, value: float) -> None:
        """One more measurement for the histogram."""
        self._metrics[metric.name].observe(value)


def _ray_metric(metric: Metric, model_name: str) -> Any:
    name = metric.name.replace(":", "_")
    tags = ("model_name", *([metric.label] if metric.label else []))
    if metric.kind == "counter":
        made = Counter(name, metric.help, tags)
    elif metric.kind == "gauge":
        made = Gauge(name, metric.help, tags)
    else:
        made = Histogram(name, metric.help, list(metric.buckets), tags)
    return made.set_default_tags({"model_name": model_name})
