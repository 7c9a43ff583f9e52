"""What peers share, around one that is known by heart."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from bench.cpu.peers.worker import measure, opening
from bench.models import ROOT

ARGUMENTS = ["some", "--num-threads", "2", "--max-num-seqs", "8", "--max-model-len", "512"]
NOISY = """
import sys
from bench.cpu.peers.worker import main

def open_model(opening):
    print("a library's own words")
    def generate(prompts, max_new_tokens):
        for _ in range(max_new_tokens):
            yield range(len(prompts))
    return generate

main(open_model)
"""


def test_tokens_are_counted_and_first_ones_timed():
    def generate(prompts, max_new_tokens):
        yield [0]
        yield [0, 1, 1]
        yield []

    found = measure(generate, [[1], [2]], 2)
    assert found["tokens"] == [2, 2]
    assert 0 <= found["first_s"][0] <= found["first_s"][1] <= found["duration_s"]


def test_an_opening_is_read_from_a_command_line():
    told = opening([*ARGUMENTS, "--low-bit", "sym_int8"])
    assert (told.num_threads, told.max_num_seqs, told.low_bit) == (2, 8, "sym_int8")
    assert opening(ARGUMENTS).low_bit is None


def test_what_a_library_prints_is_no_answer():
    orders = io.StringIO()
    for max_new_tokens in (1, 3):
        print(json.dumps({"prompts": [[1], [2]], "max_new_tokens": max_new_tokens}), file=orders)
    done = subprocess.run(
        [sys.executable, "-c", NOISY, *ARGUMENTS],
        input=orders.getvalue(),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    ready, first, second = done.stdout.splitlines()
    assert ready == "ready"
    assert json.loads(first)["tokens"] == [1, 1]
    assert json.loads(second)["tokens"] == [3, 3]
    assert "a library's own words" in done.stderr


@pytest.mark.parametrize("word", ["--max-num-seqs", "--num-threads"])
def test_nothing_is_assumed_about_the_machine(word, capsys):
    at = ARGUMENTS.index(word)
    with pytest.raises(SystemExit):
        opening([*ARGUMENTS[:at], *ARGUMENTS[at + 2 :]])
    assert word in capsys.readouterr().err
