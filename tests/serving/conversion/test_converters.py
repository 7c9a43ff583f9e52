"""The table of converters, and what is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving.conversion.converters import CONVERTERS, find_converter
from serving.conversion.manifest import conversion_command, converted_folder
from serving.errors import ConfigError

ROOT = Path(__file__).parents[3]


def test_the_first_data_type_is_the_default():
    for engine, converter in CONVERTERS.items():
        assert find_converter(engine, None) == (converter, converter.data_types[0])
        assert (ROOT / "requirements" / f"{converter.requirements}.txt").is_file()


@pytest.mark.parametrize(
    ("engine", "data_type", "words"),
    [
        ("openvin", None, "did you mean 'openvino'"),
        ("onnx", "float16", "converted to .*int8.*, not float16"),
    ],
)
def test_what_nobody_converts_is_refused_with_what_there_is(engine, data_type, words):
    with pytest.raises(ConfigError, match=words):
        find_converter(engine, data_type)


def test_each_engine_and_data_type_has_a_folder_and_a_command(tmp_path):
    int8 = converted_folder(tmp_path, "onnx", "int8")
    int4 = converted_folder(tmp_path, "openvino", "int4")
    assert (int8.name, int4.name) == ("onnx", "openvino-int4")
    assert conversion_command(int8) == f"anynode convert {tmp_path}"
    assert conversion_command(int4) == (
        f"anynode convert {tmp_path} --engine openvino --data-type int4"
    )
    for data_type, options in (("int8", ""), ("int4", " --data-type int4")):
        made = converted_folder(tmp_path, "ipex-llm", data_type)
        assert conversion_command(made) == f"anynode convert {tmp_path} --engine ipex-llm{options}"


def test_auto_is_the_finest_that_is_there(tmp_path):
    assert converted_folder(tmp_path, "onnx", "auto").name == "onnx"
    (tmp_path / "onnx-int4").mkdir()
    assert converted_folder(tmp_path, "onnx", "auto").name == "onnx-int4"
    (tmp_path / "onnx").mkdir()
    assert converted_folder(tmp_path, "onnx", "auto").name == "onnx"
