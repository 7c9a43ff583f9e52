"""What machines did during a run, asked of a fake that answers as Prometheus' HTTP API does."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.bench.prometheus import (
    MOST_POINTS,
    Series,
    check,
    host,
    missing,
    node_of,
    node_usage,
    usages,
    window,
)
from inference.bench.report.model import NodeUsage
from serving.errors import ConfigError
from tests.inference.bench.fake_http import Asked, serving
from tests.inference.bench.test_knee import run

BEGAN = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
ENDED = BEGAN + timedelta(seconds=60)


def matrix(*series: tuple[dict[str, str], list[str]]) -> dict[str, Any]:
    """The shape of a query_range's answer."""
    result = [
        {"metric": labels, "values": [[1767268800 + at, value] for at, value in enumerate(values)]}
        for labels, values in series
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}}


def prometheus(known: dict[str, dict[str, Any]]) -> Callable[[Asked], tuple[int, Any]]:
    """Answers the first metric that a query holds; an empty matrix for the others."""

    def answer(asked: Asked) -> tuple[int, Any]:
        if asked.path == "/api/v1/query":
            now_s = time.time()
            scalar = {"resultType": "scalar", "result": [now_s, str(now_s)]}
            return 200, {"status": "success", "data": scalar}
        query = asked.query["query"]
        return 200, next((said for name, said in known.items() if name in query), matrix())

    return answer


def test_node_exporter_and_dcgm_meet_in_one_machine():
    node, gpu = {"instance": "10.0.0.7:9100"}, {"instance": "10.0.0.7:9400", "Hostname": "alpha"}
    known = {
        "node_uname_info": matrix(({**node, "nodename": "alpha"}, ["1"])),
        "node_cpu_seconds_total": matrix((node, ["0.25", "0.75"])),
        "node_memory_MemAvailable_bytes": matrix((node, ["1000", "3000"])),
        "node_network_receive_bytes_total": matrix((node, ["10", "20"])),
        "node_network_transmit_bytes_total": matrix((node, ["30", "50"])),
        "DCGM_FI_DEV_GPU_UTIL": matrix((gpu, ["0.5", "0.9"])),
        "DCGM_FI_DEV_FB_USED": matrix((gpu, ["1048576", "2097152"])),
    }
    with serving(prometheus(known)) as fake:
        found = node_usage(fake.url, BEGAN, ENDED)
    assert found == (
        NodeUsage(
            node="alpha",
            cpu_mean=0.5,
            cpu_max=0.75,
            memory_mean_bytes=2000,
            memory_max_bytes=3000,
            network_receive_mean_bytes_per_s=15,
            network_transmit_mean_bytes_per_s=40,
            gpu_mean=0.7,
            gpu_max=0.9,
            gpu_memory_mean_bytes=1.5 * (1 << 20),
            gpu_memory_max_bytes=2 << 20,
        ),
    )


def test_amd_gpus_are_seen_through_their_own_exporter():
    gpu = {"instance": "10.0.0.8:5000", "hostname": "beta"}
    known = {
        "gpu_gfx_activity": matrix((gpu, ["0.5"])),
        "gpu_used_vram": matrix((gpu, ["7"])),
    }
    with serving(prometheus(known)) as fake:
        (found,) = node_usage(fake.url, BEGAN, ENDED)
    assert (found.node, found.gpu_mean, found.gpu_memory_max_bytes) == ("beta", 0.5, 7)
    assert (found.cpu_mean, found.memory_mean_bytes) == (None, None)


def test_machines_are_in_the_order_of_their_names():
    known = {
        "node_cpu_seconds_total": matrix(
            ({"instance": "b:9100"}, ["0.5"]), ({"instance": "a:9100"}, ["0.25"])
        )
    }
    with serving(prometheus(known)) as fake:
        found = node_usage(fake.url, BEGAN, ENDED)
    assert [(each.node, each.cpu_mean) for each in found] == [("a", 0.25), ("b", 0.5)]


def test_values_that_are_no_numbers_are_left_out():
    node = {"instance": "a:9100"}
    known = {
        "node_cpu_seconds_total": matrix((node, ["NaN", "0.5", "+Inf"])),
        "node_memory": matrix((node, ["NaN"])),
    }
    with serving(prometheus(known)) as fake:
        assert node_usage(fake.url, BEGAN, ENDED) == (
            NodeUsage(node="a", cpu_mean=0.5, cpu_max=0.5),
        )


def test_queries_cover_the_run_but_its_first_scrapes():
    with serving(prometheus({})) as fake:
        assert node_usage(f"{fake.url}/prefix", BEGAN, ENDED) == ()
    for asked in fake.asked:
        assert asked.path == "/prefix/api/v1/query_range"
        assert float(asked.query["start"]) == BEGAN.timestamp() + 15
        assert float(asked.query["end"]) == ENDED.timestamp()
        assert float(asked.query["step"]) == 1


def test_a_failure_after_the_run_costs_only_these_figures(caplog: pytest.LogCaptureFixture):
    said = {"status": "error", "errorType": "execution", "error": "query timed out"}
    with serving(lambda asked: (503, said)) as fake:
        assert node_usage(fake.url, BEGAN, ENDED) == ()
    assert caplog.messages == [f"no figures of the nodes: {fake.url} answers 503: query timed out"]


@pytest.mark.parametrize(
    "data", [None, [], {"result": 3}, {"result": [{"metric": {}}]}, {"result": [{"values": []}]}]
)
def test_unknown_shapes_cost_only_these_figures(data, caplog: pytest.LogCaptureFixture):
    with serving(lambda asked: (200, {"status": "success", "data": data})) as fake:
        assert node_usage(fake.url, BEGAN, ENDED) == ()
    assert "in no known shape" in caplog.text


def test_before_the_run_prometheus_must_answer():
    with serving(prometheus({})) as fake:
        check(fake.url)
    with pytest.raises(ConfigError) as caught:
        check(fake.url)
    assert caught.value.message == (
        f"--prometheus: nothing answers at {fake.url}: connection refused"
    )


def test_what_answers_must_be_prometheus():
    with (
        serving(lambda asked: (404, b"not here")) as fake,
        pytest.raises(ConfigError, match=r"--prometheus: .* 404 without JSON; is it Prometheus"),
    ):
        check(fake.url)
    with (
        serving(lambda asked: (200, [])) as fake,
        pytest.raises(ConfigError, match=r"--prometheus: .* 200: no result"),
    ):
        check(fake.url)


@pytest.mark.parametrize("url", ["localhost:9090", "http://", "http://[", "http://me:pw@host"])
def test_what_is_no_url_of_prometheus_is_refused_by_the_options_name(url: str):
    with pytest.raises(ConfigError, match="--prometheus") as caught:
        check(url)
    assert "pw" not in caught.value.message


@given(st.floats(0, 1e6))
def test_the_window_lies_in_the_run_and_has_not_too_many_points(duration_s: float):
    ended = BEGAN + timedelta(seconds=duration_s)
    when = window(BEGAN, ended)
    assert BEGAN <= when.start <= when.end == ended
    assert (when.end - when.start).total_seconds() / when.step_s <= MOST_POINTS
    assert when.step_s >= 1


def test_a_short_run_is_looked_at_in_its_second_half():
    assert window(BEGAN, BEGAN + timedelta(seconds=10)).start == BEGAN + timedelta(seconds=5)


def test_addresses_lose_their_ports_and_names_win():
    assert [host(each) for each in ("10.0.0.7:9100", "[::1]:9100", "alpha", "")] == [
        "10.0.0.7",
        "[::1]",
        "alpha",
        "",
    ]
    names = {"10.0.0.7": "alpha"}
    assert node_of({"instance": "10.0.0.7:9100"}, names) == "alpha"
    assert node_of({"instance": "10.0.0.9:9100"}, names) == "10.0.0.9"
    assert node_of({"instance": "10.0.0.7:9400", "Hostname": "gamma"}, names) == "gamma"
    assert node_of({"instance": "10.0.0.7:5000", "hostname": "delta"}, names) == "delta"


SERIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.lists(st.floats(0, 1), min_size=1, max_size=5)),
    max_size=6,
)


@given(SERIES)
def test_a_mean_never_exceeds_the_highest_value(many: list[tuple[str, list[float]]]):
    series = [Series({"instance": f"{node}:9100"}, tuple(values)) for node, values in many]
    found = usages({"cpu": series}, {})
    assert [each.node for each in found] == sorted({node for node, _ in many})
    for each in found:
        assert each.cpu_mean is not None
        assert each.cpu_max is not None
        assert each.cpu_mean <= each.cpu_max + 1e-9
        assert each.gpu_mean is None


def test_a_note_names_the_runs_without_figures():
    with_nodes = run(1, 10).model_copy(update={"nodes": [NodeUsage(node="a")]})
    runs = [with_nodes, run(2, 10), run(4, 10)]
    assert missing("http://p", runs) == [
        "Prometheus at http://p gave no figures of any node for concurrency 2, concurrency 4."
    ]
    assert missing("http://p", [with_nodes]) == []
    assert missing(None, runs) == []


@pytest.mark.parametrize(("off_s", "words"), [(90, "90 s ahead of ours"), (-600, "600 s behind")])
def test_a_clock_that_is_wrong_is_said_before_the_run(off_s, words):
    def answer(asked: Asked) -> tuple[int, Any]:
        there_s = time.time() + off_s
        scalar = {"resultType": "scalar", "result": [there_s, str(there_s)]}
        return 200, {"status": "success", "data": scalar}

    with serving(answer) as fake, pytest.raises(ConfigError, match=words) as refused:
        check(fake.url)
    assert "--prometheus" in refused.value.message


def test_what_tells_no_time_is_no_prometheus():
    said = {"status": "success", "data": {"resultType": "scalar", "result": []}}
    with serving(lambda asked: (200, said)) as fake, pytest.raises(ConfigError, match="the time"):
        check(fake.url)
