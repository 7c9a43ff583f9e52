from __future__ import annotations

import pickle

import pytest

from inference.bench.compare.load_config import LoadConfig
from inference.bench.compare.plans import Plans
from inference.bench.compare.schedule import turns
from inference.bench.report.model import ServerReport
from serving.errors import ConfigError

SERVER = ServerReport(arm="ours", url="http://h", models=["m"], version={"version": "1"})


def plans(**load):
    return Plans(LoadConfig(**load), {"X-Key": "k"})


def texts(plan):
    return [plan.prompts.prompt(number) for number in range(plan.load.num_requests or 0)]


def test_a_plan_says_what_the_config_says():
    made = plans(concurrency=[4], num_requests=3, route="completions", slo={"ttft": 5}, top_p=0.5)
    turn = next(iter(turns(["ours"], points=1, rounds=1, warmup_rounds=0)))
    plan = made.plan(turn, "http://h", "m")
    assert (plan.name, plan.arm, plan.round) == ("concurrency 4", "ours", 1)
    assert plan.target.headers == {"X-Key": "k"}
    assert plan.target.model == "m"
    assert plan.target.sampling == {"temperature": 0, "top_p": 0.5, "ignore_eos": True}
    assert plan.yardsticks.objectives_ms == {"ttft": 5}
    assert (plan.load.concurrency, plan.load.num_requests) == (4, 3)
    assert pickle.loads(pickle.dumps(plan.prompts)).prompt(0) == plan.prompts.prompt(0)


def test_all_arms_are_asked_the_same_and_every_round_and_load_something_else():
    made = plans(concurrency=[1, 2], num_requests={1: 3, 2: 4}, prompt_tokens="12")
    asked = {}
    for turn in turns(["a", "b"], points=2, rounds=3, warmup_rounds=1):
        asked.setdefault((turn.round, turn.point), []).append(
            texts(made.plan(turn, "http://h", "m"))
        )
    assert all(first == second for first, second in asked.values())
    every = [prompt.messages[0]["content"] for first, _ in asked.values() for prompt in first]
    assert len(set(every)) == len(every)


def test_an_open_loop_comes_at_the_same_times_for_all_arms():
    made = plans(request_rate=[5], num_requests=4)
    offsets = {}
    for turn in turns(["a", "b"], points=1, rounds=2, warmup_rounds=0):
        arrivals = made.plan(turn, "http://h", "m").load.arrivals
        assert arrivals is not None
        times = arrivals.offsets_s()
        offsets.setdefault(turn.round, []).append([next(times) for _ in range(4)])
    assert all(first == second for first, second in offsets.values())
    assert offsets[1] != offsets[2]


def test_embeddings_have_no_sampling():
    assert plans(route="embeddings").sampling == {}


def test_a_dataset_is_asked_for_answers_of_some_length(tmp_path):
    (tmp_path / "prompts.txt").write_text("one\ntwo\n")
    made = plans(dataset=tmp_path / "prompts.txt", output_tokens="7", num_requests=2)
    turn = next(iter(turns(["ours"], points=1, rounds=1, warmup_rounds=0)))
    plan = made.plan(turn, "http://h", "m")
    assert plan.target.max_tokens == 7
    assert {prompt.messages[0]["content"] for prompt in texts(plan)} == {"one", "two"}


def test_the_model_is_the_first_or_the_one_asked_for():
    assert plans().model(SERVER) == "m"
    assert plans(model={"ours": "m", "bare": "n"}).model(SERVER) == "m"
    with pytest.raises(ConfigError, match="--model: http://h has no 'x'"):
        plans(model="x").model(SERVER)


def test_facts_are_what_is_sent_and_what_the_server_says():
    facts = plans().facts(SERVER)
    assert facts.model == "m"
    assert facts.sent == {
        "route": "chat",
        "stream": True,
        "temperature": 0,
        "ignore_eos": True,
    }
    assert facts.version == {"version": "1"}
    assert plans().facts(None).model is None
