"""`engine: auto`: the fastest that was measured for this model on such a CPU, else the vendor's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from serving.conversion.manifest import MANIFEST_FILE, converted_folder
from serving.cpu.engine_speeds import read_speeds
from serving.cpu.processor import Processor

AUTO = "auto"
# The library each engine needs; the same process must be able to import it.
LIBRARIES = {
    "onnx": "onnxruntime",
    "openvino": "openvino_genai",
    "llama_cpp": "llama_cpp",
    "transformers": "torch",
    "optimum": "optimum",
    "ipex_llm": "ipex_llm",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine, how its weights are kept (None: not ours to say), and why it is the one."""

    engine: str
    data_type: str | None
    reason: str


def is_installed(engine: str) -> bool:
    """Whether this process can import what the engine needs."""
    return engine in LIBRARIES and find_spec(LIBRARIES[engine]) is not None


def choose_engine(
    folder: Path,
    processor: Processor,
    concurrency: int,
    *,
    usable: Callable[[str], bool] = is_installed,
) -> Choice:
    """For the model in `folder`, asked `concurrency` things at once.

    Raises ConfigError for a file of speeds that cannot be read.
    """
    speeds = read_speeds(folder)
    if speeds is None:
        return _by_vendor(folder, processor, usable, "nothing was measured (anynode bench engines)")
    if speeds.processor != processor.model:
        why = f"what was measured is another CPU's ({speeds.processor})"
        return _by_vendor(folder, processor, usable, why)
    fastest = speeds.fastest(concurrency, usable)
    if fastest is None:
        return _by_vendor(folder, processor, usable, "none of those measured is installed here")
    return Choice(fastest.engine, fastest.data_type, speeds.describe(fastest, concurrency))


def _by_vendor(
    folder: Path, processor: Processor, usable: Callable[[str], bool], why: str
) -> Choice:
    """OpenVINO on Intel's CPUs where its weights are there, else the default engine."""
    converted = converted_folder(folder, "openvino") / MANIFEST_FILE
    if processor.vendor == "Intel" and usable("openvino") and converted.is_file():
        return Choice("openvino", None, f"an Intel CPU; {why}")
    return Choice("onnx", None, f"the default; {why}")
