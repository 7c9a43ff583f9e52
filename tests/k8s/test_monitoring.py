"""Rules and dashboard ask for metrics that exist, in words that Prometheus understands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from inference.manifest.names import POD_LABELS
from inference.manifest.pods import METRICS_PORTS
from serving.http.metrics import METRICS
from tests.k8s.kustomize import ROOT

RULES = yaml.safe_load((ROOT / "monitoring/rules.yaml").read_text())["spec"]
DASHBOARD = json.loads((ROOT / "monitoring/dashboard.json").read_text())

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)


def expressions() -> list[str]:
    rules = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    return [*rules, *(each.replace("$__rate_interval", "1m") for each in panels)]


def recorded() -> set[str]:
    return {
        rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
    }


def ours() -> set[str]:
    """Our metrics as Ray exports them (serving/http/ray_metrics)."""
    ends = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    return {
        f"ray_{metric.name.replace(':', '_')}{end}"
        for metric in METRICS
        for end in ends[metric.kind]
    }


def rays() -> set[str]:
    """Words in quotes in Ray's own code, among them its metrics' names."""
    spec = find_spec("ray")
    assert spec is not None and spec.origin is not None
    ray = Path(spec.origin).parent
    files = [
        ray / "serve/_private/deployment_state.py",
        ray / "dashboard/modules/reporter/reporter_agent.py",
    ]
    return {f"ray_{word}" for file in files for word in re.findall(r'"(\w+)"', file.read_text())}


def test_every_metric_exists() -> None:
    known = ours() | rays() | recorded()
    named = {
        name
        for expression in expressions()
        for name in re.findall(r"\b(?:ray|anynode)[_:][\w:]+", expression)
    }
    assert len(named) > 10
    assert named - known == set()


@needs_promtool
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    panels = [
        {"record": f"panel:{number}", "expr": expression}
        for number, expression in enumerate(expressions())
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [*RULES["groups"], {"name": "p", "rules": panels}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_alerts_come_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": RULES["groups"]}))

    def expected(alert: str, at: str, **labels: str) -> dict[str, object]:
        text = next(
            rule["annotations"]["summary"]
            for group in RULES["groups"]
            for rule in group["rules"]
            if rule.get("alert") == alert
        )
        for name, value in labels.items():
            text = text.replace(f"{{{{ $labels.{name} }}}}", value)
        severity = "critical" if alert == "AnynodeNoReplica" else "warning"
        alerts = [
            {"exp_labels": {"severity": severity, **labels}, "exp_annotations": {"summary": text}}
        ]
        return {"eval_time": at, "alertname": alert, "exp_alerts": alerts}

    series = {
        'ray_serve_deployment_replica_healthy{application="chat"}': "1 0x30",
        'ray_vllm_num_requests_waiting{model_name="m", pod="a"}': "3x30",
        'ray_anynode_request_errors_total{model_name="m", status="503"}': "0+60x30",
    }
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": each} for name, each in series.items()],
                "alert_rule_test": [
                    {"eval_time": "1m", "alertname": "AnynodeNoReplica", "exp_alerts": []},
                    expected("AnynodeNoReplica", "5m", application="chat"),
                    expected("AnynodeRequestsWait", "11m", model_name="m"),
                    expected("AnynodeErrors", "11m", model_name="m"),
                    {"eval_time": "11m", "alertname": "AnynodeSlowFirstToken", "exp_alerts": []},
                ],
            }
        ],
    }
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_looks_where_our_pods_tell_metrics() -> None:
    monitor = yaml.safe_load((ROOT / "monitoring/pod-monitor.yaml").read_text())["spec"]
    assert monitor["selector"]["matchLabels"] == POD_LABELS
    assert {each["port"] for each in monitor["podMetricsEndpoints"]} == set(METRICS_PORTS)
