"""Real arms on the demo model: one over HTTP, one in a process of its own."""

from __future__ import annotations

import pytest

from bench.cpu import asking
from bench.cpu.arms import ARMS, Arm, Worker
from bench.cpu.asking import Answered, put_together, running
from bench.cpu.commands import Room
from bench.cpu.loads import PROMPT_TOKENS, Load
from bench.models import ROOT
from serving.errors import ConfigError
from tests.inference.bench.compare.samples import sample_run

MODEL = ROOT / "models" / "anynode-demo"
ROOM = Room(num_threads=1, concurrency=2, vendor="AMD")


@pytest.mark.parametrize("name", ["onnx-int8", "openvino-genai-int8"])
def test_an_arm_answers_all_that_it_is_asked(name):
    with running(ARMS[name], MODEL, MODEL / "openvino", ROOM) as ask:
        single, pair = ask(Load(1, 1, first_prompt=0)), ask(Load(2, 5, first_prompt=3))
    assert (single.prompt_tokens, single.output_tokens) == (3 * PROMPT_TOKENS, 3)
    assert (pair.prompt_tokens, pair.output_tokens) == (4 * PROMPT_TOKENS, 20)
    assert 0 < pair.ttft_ms <= 1000 * pair.duration_s


def test_a_worker_that_ends_says_why():
    arm = Arm("nobody", Worker("nobody"), 8)
    with (
        pytest.raises(ConfigError, match=r"No module named .*nobody"),
        running(arm, MODEL, MODEL, ROOM),
    ):
        pass


def test_orders_one_after_the_other_are_one_load():
    measured = [
        {"duration_s": 1.0, "first_s": [0.1], "tokens": [2]},
        {"duration_s": 2.0, "first_s": [0.3], "tokens": [2]},
        {"duration_s": 3.0, "first_s": [0.2], "tokens": [2]},
    ]
    found = put_together(measured, [[1] * 4] * 3, Load(1, 2, 0))
    assert found == Answered(12, 6, 6.0, 200.0)


def test_an_answer_that_ends_early_counts_for_nothing():
    with pytest.raises(ConfigError, match="5 tokens where 6"):
        asking.check_tokens(5, Load(1, 2, 0))


def test_a_request_that_fails_is_the_arms_loss():
    report = sample_run("a", 1, failed=1)
    with pytest.raises(ConfigError, match="1 of 8 failed"):
        asking.answered(report, Load(8, 2, 0))
