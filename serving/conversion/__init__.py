"""Turns a Hugging Face checkpoint into what the default engine loads; needs the `convert` extra.

    checkpoint → genai (fp32 graph) → step_graph (inputs, head) → per_row_int8 → model.onnx

The result is one folder of three files, `onnx/` inside the checkpoint's own by default: the graph,
its weights and `anynode.json`. The tokenizer stays in the checkpoint's folder.

`gguf` makes a file for the llama_cpp engine instead, with the `llama-cpp` extra.
"""

from __future__ import annotations
