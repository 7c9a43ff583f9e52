"""Turns: who is missing, who is lost, what `auto` is told; and a whole round of a real peer."""

from __future__ import annotations

import shutil

import pytest

from bench.cpu import __main__ as command
from bench.cpu import rounds, table
from bench.cpu.arms import ARMS, Arm, Worker
from bench.cpu.asking import Answered
from bench.cpu.loads import loads
from bench.cpu.results import Results
from bench.models import ROOT
from serving.cpu.engine_speeds import read_speeds, write_speeds
from tests.bench.cpu.samples import results, runs

MODEL = ROOT / "models" / "anynode-demo"
PEER = ARMS["openvino-genai-int8"]


def test_an_environment_that_is_not_there_is_named_with_what_makes_it(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "CACHE", tmp_path)
    some = [ARMS[name] for name in ("onnx-int8", "vllm-int8", "llama.cpp-q8_0")]
    assert rounds.missing(some) == {"vllm-int8": "make vllm", "llama.cpp-q8_0": "make llama-cpp"}
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "installed.txt").touch()
    assert list(rounds.missing(some)) == ["llama.cpp-q8_0"]


def test_what_warms_up_is_asked_and_not_counted():
    asked = []

    def ask(load):
        asked.append(load)
        return Answered(load.num_requests * 128, load.num_requests, 1.0, 5.0)

    found = rounds.ask_all(ask, loads([1, 8], 64, 2), "some", 2)
    assert len(asked) == 6
    assert [(run.concurrency, run.answer_tokens) for run in found] == [
        *((1, 1), (1, 64)),
        *((8, 1), (8, 64)),
    ]
    assert {(run.arm, run.round) for run in found} == {("some", 2)}


def test_auto_is_told_of_the_engines_it_can_take(tmp_path):
    found = results(
        runs("onnx-int4", 1, prefill_s=1.0, decode_s=1.0),
        runs("onnx-int4", 2, prefill_s=1.0, decode_s=3.0),
        runs("llama_cpp-q8_0", 1),
        runs("vllm-int8", 1),
        runs("vllm-serve-int8", 1),
    )
    told = rounds.speeds(found)
    assert [(each.engine, each.data_type) for each in told] == [
        ("onnx", "int4"),
        ("llama_cpp", "auto"),
    ]
    assert told[0].tokens_per_s == {8: (44 + 22) / 2}
    write_speeds(tmp_path, rounds.measured_speeds(found))
    assert read_speeds(tmp_path).fastest(8, lambda engine: True).engine == "onnx"


def demo_results(*names):
    return results(concurrency=[1], rounds=1).model_copy(update={"arms": list(names)})


@pytest.mark.timeout(120)
def test_a_round_of_a_real_peer_is_kept_and_one_that_fails_is_lost(tmp_path, capsys):
    model = tmp_path / "model"
    shutil.copytree(MODEL, model)
    broken = Arm("nobody", Worker("nobody"), 8, "checkpoint")
    found, path = demo_results(PEER.name, broken.name), tmp_path / "results.json"
    rounds.measure(
        found, model, [broken, PEER], 8, lambda kept: path.write_text(kept.model_dump_json())
    )
    assert [(run.arm, run.answer_tokens) for run in found.runs] == [(PEER.name, 1), (PEER.name, 8)]
    assert "No module named" in found.lost["nobody"]
    assert Results.model_validate_json(path.read_text()) == found
    assert "round 1: openvino-genai-int8" in capsys.readouterr().err


def test_tables_are_made_again_of_what_was_kept(tmp_path, monkeypatch, capsys):
    found = results(runs("onnx-int8", 1))
    path = tmp_path / "results.json"
    path.write_text(found.model_dump_json())
    monkeypatch.setattr("sys.argv", ["bench.cpu", "--table", str(path)])
    command.main()
    title = command.SHAPES["110m"].title
    assert capsys.readouterr().out == "\n".join(table.lines(found, title)) + "\n"


@pytest.mark.parametrize("option", ["--rounds", "--concurrency"])
def test_no_rounds_and_no_requests_are_refused(option, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench.cpu", option, "0"])
    with pytest.raises(SystemExit):
        command.main()
    assert f"argument {option}: invalid positive value: '0'" in capsys.readouterr().err
