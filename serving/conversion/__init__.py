"""Turns a Hugging Face checkpoint into what an engine loads, in an environment of the converter's.

    source (is it whole?) → to_onnx | to_openvino | to_w8a8 | to_optimum | to_ipex_llm | gguf
    | encoder → check

What is made is a folder inside the checkpoint's own by default (`onnx/`, `openvino-int4/`, …), with
`anynode.json` in those of our own engines. `converters` is the table, `workplace` where they work.
"""

from __future__ import annotations
