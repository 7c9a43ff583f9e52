from __future__ import annotations

import sys
import threading

import psutil
import pytest

from inference.bench import runner
from inference.bench.compare import servers
from inference.bench.compare.arms import Arm
from inference.bench.compare.load_config import LoadConfig
from inference.bench.compare.plans import Plans
from inference.bench.compare.rounds import Rounds
from inference.bench.compare.schedule import turns
from inference.bench.plan import Interrupt
from serving.errors import ConfigError
from tests.inference.bench.compare.test_servers import gone, tiny, wait_for
from tests.serving.http.live import live

LOAD = LoadConfig(
    route="completions",
    stream=False,
    concurrency=[2],
    num_requests=4,
    warmup_requests=0,
    prompt_tokens="3",
    output_tokens="2",
)


def carry_out(
    arms, *, rounds=2, warmup_rounds=1, exclusive=False, interrupt=None, each=None, **options
):
    """All runs, and the `Rounds` they came from."""
    interrupt = interrupt or Interrupt()
    asked = turns(
        [arm.name for arm in arms],
        points=1,
        rounds=rounds,
        warmup_rounds=warmup_rounds,
        exclusive=exclusive,
    )
    plans = Plans(LOAD, {})
    options |= {"exclusive": exclusive, "headers": {}}
    carried = Rounds(arms, plans, interrupt=interrupt, **options)
    runs = []
    with carried:
        for plan in carried.plans(asked):
            runs.append(runner.run(plan, interrupt=interrupt))
            if each:
                each(carried)
    return runs, carried


def starts(path):
    return len(path.read_text().splitlines())


def test_urls_and_commands_take_turns(tmp_path):
    log = tmp_path / "starts"
    with live() as server:
        arms = [Arm("ours", server.url), tiny("--starts", log, name="tiny")]
        runs, carried = carry_out(arms)
    assert [(run.round, run.arm) for run in runs] == [
        *[(0, "ours"), (0, "tiny")],
        *[(1, "tiny"), (1, "ours")],
        *[(2, "ours"), (2, "tiny")],
    ]
    assert all(run.requests.succeeded == 4 for run in runs)
    assert carried.servers["tiny"].models == ["tiny"]
    assert carried.servers["ours"].arm == "ours"
    assert carried.losses == []
    assert starts(log) == 1


@pytest.mark.parametrize(
    ("per_round", "exclusive", "expected"), [(True, False, 3), (False, True, 2)]
)
def test_an_arm_is_started_as_often_as_asked(tmp_path, per_round, exclusive, expected):
    logs = [tmp_path / "a", tmp_path / "b"]
    arms = [
        tiny("--starts", log, name=log.name, per_round=per_round and log.name == "a")
        for log in logs
    ]
    running = []
    carry_out(arms, exclusive=exclusive, each=lambda carried: running.append(len(carried._running)))
    assert starts(logs[0]) == expected
    assert set(running) == {1 if exclusive else 2}


def test_only_the_arm_that_is_asked_is_awake(monkeypatch):
    monkeypatch.setattr(servers, "REST_S", 0)
    monkeypatch.setattr(servers, "SETTLE_S", 0)
    awake = []

    def look(carried):
        names = [name for name, server in carried._running.items() if not standing(server)]
        awake.append(names)

    runs, carried = carry_out([tiny(name="a"), tiny(name="b")], pause_idle=True, each=look)
    assert awake == [[run.arm] for run in runs]
    assert all(run.requests.succeeded == 4 for run in runs)
    assert carried.losses == []


def standing(server):
    return psutil.Process(server._process.pid).status() == psutil.STATUS_STOPPED


def test_an_arm_that_dies_is_marked_and_the_others_go_on():
    arms = [tiny(name="well"), tiny("--die-after", 10, name="ill")]
    runs, carried = carry_out(arms, rounds=3)
    assert [run.round for run in runs if run.arm == "well"] == [0, 1, 2, 3]
    assert [run.round for run in runs if run.arm == "ill"] == [0, 1, 2]
    loss = carried.losses[0]
    assert (loss.arm, loss.run, loss.round) == ("ill", "concurrency 2", 2)
    assert "ended with exit code 9 in the middle of a run" in loss.reason
    assert "out of memory" in loss.reason


def test_an_arm_that_does_not_come_back_is_marked(tmp_path):
    script = tmp_path / "once.py"
    tiny_server = tiny().command[1]
    script.write_text(
        "import pathlib, runpy, sys\n"
        f"seen = pathlib.Path({str(tmp_path / 'seen')!r})\n"
        "times = int(seen.read_text()) if seen.exists() else 0\n"
        "seen.write_text(str(times + 1))\n"
        "if times == 2: sys.exit('no memory left')\n"
        f"runpy.run_path({tiny_server!r}, run_name='__main__')\n"
    )
    command = (sys.executable, str(script), "--port", "{port}")
    arms = [Arm("ill", tiny().url, command, per_round=True), tiny(name="well")]
    runs, carried = carry_out(arms, rounds=3)
    assert [run.round for run in runs if run.arm == "ill"] == [0, 1]
    assert [run.round for run in runs if run.arm == "well"] == [0, 1, 2, 3]
    assert "no memory left" in carried.losses[0].reason


@pytest.mark.parametrize(
    ("ill", "reason"),
    [
        (tiny("--fail", name="ill"), "no such model"),
        (tiny("--die-after", 2, name="ill"), "out of memory"),
        (Arm("ill", "http://127.0.0.1:9"), "nothing answers at http://127.0.0.1:9"),
    ],
)
def test_an_arm_that_fails_before_anything_is_measured_ends_it_all(ill, reason):
    with pytest.raises(ConfigError, match=reason):
        carry_out([tiny(name="well"), ill])


def test_an_interrupt_while_an_arm_starts_ends_it_quietly():
    interrupt = Interrupt()
    timer = threading.Timer(0.3, lambda: setattr(interrupt, "requested", True))
    timer.start()
    runs, carried = carry_out(
        [tiny(name="a"), tiny("--never-ready", name="b")], interrupt=interrupt
    )
    timer.join()
    assert (runs, carried.losses) == ([], [])


def test_an_interrupt_between_two_turns_ends_it_quietly():
    interrupt = Interrupt()
    arms = [tiny(name="a"), tiny(name="b")]
    runs, _ = carry_out(
        arms, interrupt=interrupt, each=lambda carried: setattr(interrupt, "requested", True)
    )
    assert len(runs) == 1


def test_nothing_runs_on_after_an_error(tmp_path):
    child = tmp_path / "child"

    def fail(carried):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carry_out([tiny("--child", child, name="a"), tiny(name="b")], each=fail)
    wait_for(lambda: gone(int(child.read_text())))
