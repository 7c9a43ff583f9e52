"""The graph made for stepping computes what the builder's graph computes."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from serving.conversion.graph import Graph
from serving.conversion.manifest import GRAPH_FILE
from serving.conversion.step_graph import make_step_graph
from serving.errors import ConfigError
from tests.serving.conversion.conftest import run_fp32, run_steps
from tests.serving.conversion.toy_graph import CACHES, VOCAB, write_toy_graph

IDS = np.random.default_rng(1).integers(0, VOCAB, (2, 7))


def test_wanted_positions_have_the_logits_they_had(graph, source, tmp_path):
    make_step_graph(graph)
    graph.save()
    every = run_fp32(source, IDS).reshape(-1, VOCAB)
    wanted = [6, 13, 0]
    picked = run_steps(tmp_path / "made" / GRAPH_FILE, IDS, wanted)
    # The embedding is rounded to half precision; nothing else differs.
    np.testing.assert_allclose(picked, every[wanted], atol=0.02 * every.std())


def test_the_mask_is_gone_and_the_lengths_are_fed(graph):
    make_step_graph(graph)
    steps = {"input_ids", "seqlens_k", "total_sequence_length", "logit_positions"}
    assert set(graph.inputs) == steps | set(CACHES)
    assert not [node for node in graph.nodes if node.op_type in ("ReduceSum", "Sub")]


def test_nothing_behind_the_attention_sees_unwanted_positions(graph):
    make_step_graph(graph)
    picked = graph.reachable_from("logit_positions")
    for node in graph.nodes:
        if node.name in ("o_proj", "gate_proj", "down_proj", "lm_head_proj"):
            assert node.input[0] in picked
        if node.name == "qkv_proj":
            assert node.input[0] not in picked


def test_a_tied_embedding_gets_a_table_of_its_own(tmp_path):
    for name in ("fp32", "made"):
        (tmp_path / name).mkdir()
    source = write_toy_graph(tmp_path / "fp32", tied=True)
    with Graph(source, tmp_path / "made") as graph:
        make_step_graph(graph)
        graph.save()
        assert not [node for node in graph.nodes if node.op_type == "Transpose"]
    every = run_fp32(source, IDS).reshape(-1, VOCAB)
    picked = run_steps(tmp_path / "made" / GRAPH_FILE, IDS, [3])
    np.testing.assert_allclose(picked, every[[3]], atol=0.02 * every.std())


def test_another_kind_of_attention_is_refused(graph):
    graph.nodes = [node for node in graph.nodes if node.op_type != "GroupQueryAttention"]
    with pytest.raises(ConfigError, match=r"not GroupQueryAttention.*choose another engine"):
        make_step_graph(graph)


def test_an_input_we_cannot_feed_is_refused_by_name(graph):
    graph.add_input("pixel_values", 1, ["B"])
    final = next(node for node in graph.nodes if node.name == "lm_head_proj")
    read = final.input[0]
    graph.insert_before(final, helper.make_node("Add", [read, "pixel_values"], ["seen"]))
    final.input[0] = "seen"
    with pytest.raises(ConfigError, match="wants pixel_values"):
        make_step_graph(graph)
