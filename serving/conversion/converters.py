"""The table of converters: which engine's folder is made by what, and in which environment.

Read where nothing of it is installed, by the command line and by engines' errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from serving.conversion.request import Convert
from serving.engine import nearest
from serving.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Converter:
    """How one engine's folders are made."""

    module: str  # with a function `convert`: Convert
    requirements: str  # requirements/NAME.txt, installed into .cache/NAME
    data_types: tuple[str, ...]  # the first is the default

    def load(self) -> Convert:
        convert: Convert = import_module(self.module).convert
        return convert


# llama.cpp's own words for how weights are stored.
GGUF_TYPES = ("q8_0", "q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_m", "f16", "bf16")
CONVERTERS: Mapping[str, Converter] = {
    "onnx": Converter("serving.conversion.to_onnx", "convert", ("int8", "int4")),
    "onnx_embeddings": Converter(
        "serving.conversion.encoder", "convert", ("auto", "int8", "float32")
    ),
    "vllm": Converter("serving.conversion.to_w8a8", "convert", ("int8",)),
    "optimum": Converter("serving.conversion.to_optimum", "optimum", ("int8",)),
    "ipex-llm": Converter("serving.conversion.to_ipex_llm", "ipex-llm", ("int8", "int4")),
    "gguf": Converter("serving.conversion.gguf", "llama-cpp", GGUF_TYPES),
    "openvino": Converter("serving.conversion.to_openvino", "convert-openvino", ("int8", "int4")),
}


def find_converter(engine: str, data_type: str | None) -> tuple[Converter, str]:
    """The converter and the data type it is to make; raises ConfigError naming what there is."""
    converter = CONVERTERS.get(engine)
    if converter is None:
        raise ConfigError(
            f"engine: nothing is converted for '{engine}'{nearest(engine, list(CONVERTERS))}; "
            f"known are {', '.join(CONVERTERS)}",
            param="engine",
        )
    chosen = data_type or converter.data_types[0]
    if chosen not in converter.data_types:
        raise ConfigError(
            f"data_type: for {engine} a checkpoint is converted to "
            f"{' or '.join(converter.data_types)}, not {chosen}",
            param="data_type",
        )
    return converter, chosen
