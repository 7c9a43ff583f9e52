"""Reports as a benchmark makes them, from requests that never happened: the same on every call."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from inference.bench.knee import knee
from inference.bench.record import Failure, FailureKind, RequestRecord
from inference.bench.report.model import (
    ClientReport,
    Comparison,
    Environment,
    GateResult,
    LoadReport,
    NodeUsage,
    ParityCheck,
    Ratio,
    Report,
    RunReport,
    ServerReport,
)
from inference.bench.summary import RunFacts, Yardsticks, summarise

BEGAN = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)
OVERLOADED = "the client used 97% of a core: what it measured may be itself; add --processes"


def records(
    concurrency: int,
    num_requests: int,
    *,
    seed: int = 0,
    pace: float = 1.0,
    failing: Sequence[Failure] = (),
) -> list[RequestRecord]:
    """A closed loop on a server that gets slower, first slowly, then quickly, with its load."""
    rng = random.Random(f"{seed} {concurrency}")
    gap_s = pace * 0.012 * (1 + (concurrency / 24) ** 1.5)
    free_s = [0.0] * concurrency
    found = []
    for number in range(num_requests):
        due_s = min(free_s)
        ttft_s = pace * 0.045 * (1 + concurrency / 10) * rng.lognormvariate(0, 0.25)
        num_tokens = rng.randint(60, 100)
        times_s = [due_s + ttft_s]
        for _ in range(num_tokens - 1):
            times_s.append(times_s[-1] + gap_s * rng.lognormvariate(0, 0.2))
        failure = failing[number // 9 % len(failing)] if failing and number % 9 == 8 else None
        record = RequestRecord(
            number=number,
            endpoint=0,
            scheduled_s=due_s,
            sent_s=due_s + 0.0002,
            ended_s=due_s + ttft_s if failure else times_s[-1],
            event_times_s=() if failure else tuple(times_s),
            prompt_tokens=128,
            output_tokens=0 if failure else num_tokens,
            status=200,
            failure=failure,
        )
        free_s[free_s.index(due_s)] = record.ended_s
        found.append(record)
    return found


def client(overloaded: str | None = None) -> ClientReport:
    return ClientReport(
        processes=1,
        cpu_s=1.25,
        cpu_share=0.97 if overloaded else 0.081,
        cpu_us_per_event=21.5,
        events_per_s=1830.0,
        peak_in_flight=16,
        loop_lag_p99_ms=0.42,
        send_lag_p99_ms=0.31,
        overloaded=overloaded,
    )


def run(
    concurrency: int = 8,
    *,
    num_requests: int = 48,
    seed: int = 0,
    pace: float = 1.0,
    failing: Sequence[Failure] = (),
    arm: str = "",
    round_number: int = 0,
    interrupted: bool = False,
    overloaded: str | None = None,
    nodes: tuple[NodeUsage, ...] = (),
    yardsticks: Yardsticks | None = None,
) -> RunReport:
    """One run, by way of the real summary."""
    facts = RunFacts(
        name=f"concurrency {concurrency}",
        load=LoadReport(
            kind="closed", concurrency=concurrency, num_requests=num_requests, warmup_requests=4
        ),
        started_at=BEGAN,
        began_s=0.0,
        arm=arm,
        round=round_number,
        interrupted=interrupted,
        client=client(overloaded),
        nodes=nodes,
    )
    asked = records(concurrency, num_requests, seed=seed, pace=pace, failing=failing)
    return summarise(facts, asked, yardsticks or Yardsticks())


def report(runs: list[RunReport], **given: Any) -> Report:
    """What stands around runs."""
    return Report(
        **{
            "kind": "serve",
            "title": "anynode-demo on one machine",
            "created_at": BEGAN,
            "command": ["anynode", "bench", "serve", "http://127.0.0.1:8000", "--model", "a b"],
            "environment": Environment(
                processor="AMD EPYC 9654",
                cores=16,
                memory_bytes=64 * 1024**3,
                kernel="Linux 6.8.0",
                python="3.11.9",
                versions={"anynode": "0.1.0", "numpy": "2.4.6", "uvloop": "0.22.1"},
            ),
            "servers": [
                ServerReport(
                    url="http://127.0.0.1:8000",
                    models=["anynode-demo"],
                    version={"version": "0.1.0", "engine": "onnx"},
                    num_cores=16,
                )
            ],
            "settings": {"seed": 0, "max_tokens": 96, "temperature": 0.0, "slo": ["ttft:200"]},
            "runs": runs,
            **given,
        }
    )


def single(**given: Any) -> Report:
    """`anynode bench serve`."""
    return report([run(**given)])


def sweep() -> Report:
    """Five concurrencies; the last one fails here and there."""
    yardsticks = Yardsticks(
        num_gpus=2, num_cores=16, threshold_tps=60.0, objectives_ms={"ttft": 200.0, "tpot": 30.0}
    )
    flaws = [
        Failure(FailureKind.HTTP_5XX, "503 Service Unavailable: the queue is full"),
        Failure(FailureKind.TIMEOUT, "no answer within 600 s"),
    ]
    node = NodeUsage(
        node="node-a",
        cpu_mean=0.71,
        cpu_max=0.93,
        memory_mean_bytes=12.5 * 1024**3,
        memory_max_bytes=13.1 * 1024**3,
        network_receive_mean_bytes_per_s=2.1e6,
        network_transmit_mean_bytes_per_s=9.4e6,
    )
    runs = [
        run(
            concurrency,
            num_requests=max(32, 4 * concurrency),
            failing=flaws if concurrency == 64 else (),
            nodes=(node,),
            yardsticks=yardsticks,
        )
        for concurrency in (1, 4, 16, 32, 64)
    ]
    return report(
        runs,
        kind="sweep",
        title="How much anynode-demo bears",
        knee=knee(runs),
        notes=["The server was warm."],
    )


def compared(loads: Sequence[int] = (8,), rounds: int = 3) -> Report:
    """Two arms; ours is 2 % slower."""
    runs = [
        run(load, seed=number, pace=pace, arm=arm, round_number=number)
        for load in loads
        for number in range(1, rounds + 1)
        for arm, pace in (("bare", 1.0), ("ours", 1.02))
    ]
    ratios = [
        _ratio(runs, f"concurrency {load}", metric)
        for load in loads
        for metric in ("output_tokens_per_s", "ttft_p50_ms", "tpot_p50_ms")
    ]
    gates = [_gate(each) for each in ratios[:2]]
    comparison = Comparison(
        arms=["bare", "ours"],
        baseline="bare",
        rounds=rounds,
        parity=[
            ParityCheck(name="model", ok=True, detail="anynode-demo"),
            ParityCheck(name="prompt tokens", ok=True, detail="6,144 in every round"),
        ],
        ratios=ratios,
        gates=gates,
        verdict="fail",
    )
    servers = [
        ServerReport(arm=arm, url=f"http://127.0.0.1:{port}", models=["anynode-demo"])
        for arm, port in (("bare", 8001), ("ours", 8000))
    ]
    return report(
        runs, kind="compare", title="The price of anynode", servers=servers, comparison=comparison
    )


def _ratio(runs: Sequence[RunReport], name: str, metric: str) -> Ratio:
    def figure(each: RunReport) -> float:
        if metric == "output_tokens_per_s":
            return each.throughput.output_tokens_per_s
        found = each.ttft_ms if metric.startswith("ttft") else each.tpot_ms
        assert found
        return found.p50

    by_arm = {
        arm: [figure(each) for each in runs if (each.arm, each.name) == (arm, name)]
        for arm in ("bare", "ours")
    }
    values = [ours / bare for bare, ours in zip(by_arm["bare"], by_arm["ours"], strict=True)]
    return Ratio(
        arm="ours",
        baseline="bare",
        metric=metric,
        run=name,
        values=values,
        median=median(values),
        low=min(values) - 0.004,
        high=max(values) + 0.004,
        confidence=0.95,
    )


def _gate(measured: Ratio) -> GateResult:
    if measured.metric == "output_tokens_per_s":
        line, verdict, reason = ">= 0.97", "pass", "the whole interval lies above 0.97"
    else:
        line, verdict, reason = "<= 1.00", "fail", "the whole interval lies above 1.00"
    return GateResult.model_validate(
        {
            "gate": f"ours/bare {measured.metric} {line}",
            "run": measured.run,
            "verdict": verdict,
            "measured": measured.model_dump(),
            "reason": reason,
        }
    )


def nothing_answered() -> Report:
    """Every request of the only run failed."""
    refused = [Failure(FailureKind.CONNECT, "connection refused: http://127.0.0.1:8000")]
    asked = [
        RequestRecord(
            number, 0, 0.1 * number, 0.1 * number, 0.1 * number + 0.01, failure=refused[0]
        )
        for number in range(64)
    ]
    facts = RunFacts(
        name="concurrency 8",
        load=LoadReport(kind="closed", concurrency=8, num_requests=64),
        started_at=BEGAN,
        began_s=0.0,
        client=client(),
    )
    return report([summarise(facts, asked, Yardsticks(num_gpus=1))], servers=[])


def interrupted() -> Report:
    """Ctrl-C in the second run, and a client that was too slow."""
    runs = [run(4), run(16, num_requests=20, interrupted=True, overloaded=OVERLOADED)]
    return report(runs, kind="sweep", title="Cut short")
