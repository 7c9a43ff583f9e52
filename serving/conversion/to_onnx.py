"""The whole way from a checkpoint's folder to the folder that the default engine loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from serving.conversion.blocks_int4 import quantize_to_int4
from serving.conversion.check import check, read_model, read_reference
from serving.conversion.genai import BuiltModel, build_fp32, check_environment, describe
from serving.conversion.graph import Graph
from serving.conversion.manifest import OWN_GRAPH_FILE, Manifest, read_manifest, write_manifest
from serving.conversion.own_operators import use_own_operators
from serving.conversion.per_row_int8 import QUANTIZATION, quantize_products
from serving.conversion.request import Converted, Request
from serving.conversion.source import Checkpoint, read_checkpoint
from serving.conversion.step_graph import has_window, make_step_graph
from serving.conversion.verify_graph import add_verification
from serving.conversion.workplace import Progress, Workplace, check_room, identity, workplace
from serving.engines.onnx_decoder import OnnxDecoder

MADE_WITH = ("onnxruntime-genai", "onnx", "transformers", "torch")
FLOAT_BYTES = 4


def convert(request: Request, progress: Progress) -> Converted:
    """See Convert. Takes minutes for a model of a billion parameters."""
    check_environment()
    checkpoint = read_checkpoint(request.model_dir, trust_remote_code=request.trust_remote_code)
    floats = FLOAT_BYTES * checkpoint.num_parameters
    check_room(checkpoint, request.target, disk_bytes=floats * 3 // 2, memory_bytes=2 * floats)
    made_of = identity(checkpoint.folder, request.data_type, MADE_WITH)
    with workplace(request.target, made_of, progress) as place:
        deviation = None if place is None else _make(checkpoint, request.data_type, place)
    return Converted(request.target, deviation)


def _make(checkpoint: Checkpoint, data_type: str, place: Workplace) -> Any:
    export = partial(build_fp32, checkpoint.folder, trust_remote_code=checkpoint.trust_remote_code)
    built = describe(place.stage("fp32 graph", export))
    made = place.stage(data_type, partial(_quantize, checkpoint, built, data_type))
    place.say("comparing with the checkpoint")
    reference = read_reference(checkpoint, read_manifest(made).max_model_len)
    decoder = _open(made)
    deviation = check(reference, partial(read_model, decoder), data_type)
    decoder.close()
    place.publish(made)
    return deviation


@dataclass(frozen=True, slots=True)
class _Rewritten:
    weight_bytes: int  # read by each step
    quantization: str
    windowed: bool  # whether some attention looks back a limited number of tokens only
    verify_sizes: tuple[int, ...]


def _quantize(checkpoint: Checkpoint, built: BuiltModel, data_type: str, made: Path) -> None:
    rewritten = _rewrite(built, made, data_type)
    write_manifest(made, _manifest(checkpoint, built, made, rewritten))


def _rewrite(built: BuiltModel, target: Path, data_type: str) -> _Rewritten:
    """Rewrites the fp32 graph into `target`."""
    with Graph(built.graph, target) as graph:
        make_step_graph(graph)
        windowed = has_window(graph)
        if data_type == "int4":
            weight_bytes, quantization = quantize_to_int4(graph)
        else:
            weight_bytes, quantization = quantize_products(graph), QUANTIZATION
        verify_sizes = write_graphs(graph, built.head_dim)
        return _Rewritten(weight_bytes, quantization, windowed, verify_sizes)


def write_graphs(graph: Graph, head_dim: int) -> tuple[int, ...]:
    """Writes a quantised graph in the forms that the engine may load, over the same weights.

    Returns the numbers of positions that they can verify.
    """
    graph.settle()
    own = graph.variant()
    if use_own_operators(own, head_dim):
        own.save(OWN_GRAPH_FILE)
    verify_sizes = add_verification(graph, head_dim)
    graph.save()
    return verify_sizes


def context_length(config: Mapping[str, Any], built: BuiltModel, windowed: bool) -> int:
    """Tokens for which the graph is the checkpoint's model.

    The builder leaves out the window of architectures whose every layer has one (Mistral): up to
    the window's length that makes no difference.
    """
    window = config.get("sliding_window")
    if windowed or not window or not config.get("use_sliding_window", True):
        return built.context_length
    return min(built.context_length, int(window))


def _manifest(
    checkpoint: Checkpoint, built: BuiltModel, made: Path, rewritten: _Rewritten
) -> Manifest:
    return Manifest(
        model_type=checkpoint.model_type,
        num_layers=built.num_layers,
        num_kv_heads=built.num_kv_heads,
        head_dim=built.head_dim,
        vocab_size=built.vocab_size,
        max_model_len=context_length(checkpoint.config, built, rewritten.windowed),
        eos_token_ids=built.eos_token_ids,
        quantization=rewritten.quantization,
        weight_bytes_per_step=rewritten.weight_bytes,
        files={path.name: path.stat().st_size for path in sorted(made.iterdir())},
        made_with={name: version(name) for name in MADE_WITH},
        verify_sizes=rewritten.verify_sizes,
    )


def _open(folder: Path) -> OnnxDecoder:
    return OnnxDecoder(folder, num_rows=1, max_model_len=None, num_threads=2)
