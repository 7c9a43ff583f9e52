"""A model cut over two workers, each on cores of its own."""

from __future__ import annotations

import os

import psutil
import pytest

from tests.vllm.conftest import replica
from tests.vllm.served import Served

QUESTIONS = ["Hello", "What is 7 - 2?", "Tell me a story.", "What is the capital of Kenya?"]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_workers_answer_as_one_and_leave_nothing(rich: Served) -> None:
    with replica(tensor_parallel_size=2, data_type="float32") as two:
        processes = psutil.Process(two.pid).children(recursive=True)
        workers = [each for each in processes if "Worker" in "".join(each.cmdline())]
        assert len(workers) == 2
        assert [two.answer(question) for question in QUESTIONS] == [
            rich.answer(question) for question in QUESTIONS
        ]
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
