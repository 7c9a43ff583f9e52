"""`engine: auto`: by what was measured here, else by whose CPU it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from serving.cpu.auto_engine import choose_engine, is_installed
from serving.cpu.deployment import CPUSettings, with_actual_engine
from serving.cpu.engine_speeds import write_speeds
from serving.cpu.processor import Processor, this_processor
from serving.http import FaceSettings
from tests.contract.embedder_contract import TINY_ENCODER
from tests.contract.engine_contract import DEMO_MODEL
from tests.serving.cpu.test_engine_speeds import SPEEDS

AMD = Processor("x86_64", "AMD", SPEEDS.processor)
INTEL = Processor("x86_64", "Intel", "Xeon")


def all_usable(engine):
    return True


@pytest.fixture
def model(tmp_path):
    shutil.copytree(DEMO_MODEL, tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_what_was_measured_on_such_a_cpu_decides(model):
    write_speeds(model, SPEEDS)
    one, many = (choose_engine(model, AMD, number, usable=all_usable) for number in (1, 8))
    assert (one.engine, one.data_type) == ("onnx", "int4")
    assert (many.engine, many.data_type) == ("openvino", "int8")
    assert "180 tokens/s at 8 requests" in many.reason


@pytest.mark.parametrize(
    ("processor", "usable", "engine", "words"),
    [
        (INTEL, all_usable, "openvino", "another CPU's (AMD EPYC)"),
        (INTEL, lambda engine: engine == "onnx", "onnx", "another CPU's"),
        (AMD, lambda engine: engine == "transformers", "onnx", "none of those measured is"),
    ],
)
def test_else_the_vendors_engine_with_the_reason(model, processor, usable, engine, words):
    write_speeds(model, SPEEDS)
    choice = choose_engine(model, processor, 8, usable=usable)
    assert (choice.engine, choice.data_type) == (engine, None)
    assert words in choice.reason


def test_where_nothing_was_measured_the_command_is_named(model):
    assert choose_engine(model, INTEL, 1, usable=all_usable).engine == "openvino"
    shutil.rmtree(model / "openvino")
    choice = choose_engine(model, INTEL, 1, usable=all_usable)
    assert choice.engine == "onnx"
    assert "anynode bench engines" in choice.reason


def test_what_is_installed():
    assert is_installed("onnx")
    assert not is_installed("no-such-engine")


def settings(**given):
    face = FaceSettings(model_id="m", max_num_seqs=1)
    return CPUSettings(model_name="m", engine="auto", face=face, **given)


def test_the_settings_take_the_choice(model):
    here = this_processor().model
    write_speeds(model, type(SPEEDS)(here, 2, "", SPEEDS.speeds))
    chosen = with_actual_engine(settings(), model)
    assert (chosen.engine, chosen.engine_settings["data_type"]) == ("onnx", "int4")
    assert "60 tokens/s" in chosen.engine_reason
    assert with_actual_engine(chosen, model) == chosen
    mine = with_actual_engine(settings(engine_settings={"data_type": "int8"}), model)
    assert mine.engine_settings["data_type"] == "int8"


def test_a_sentence_encoder_has_its_own(tmp_path):
    assert with_actual_engine(settings(), TINY_ENCODER).engine == "onnx_embeddings"
    assert with_actual_engine(settings(), Path("/no/such/folder")).engine in ("onnx", "openvino")
