import json
from pathlib import Path

import inference
from tests.inference.cli.command import Command

ROOT = Path(inference.__file__).parents[1]
FLEETS = ROOT / "k8s" / "fleets"
SMALL = """
nodes: [{name: a, cores: 16, sockets: 2, memory: 64GB, gpus: {product: L4}}]
models:
  - {name: small, source: meta-llama/Llama-2-7b-chat-hf, context: 1024, tokens: 256, concurrency: 8}
  - {name: large, source: meta-llama/Llama-2-70b-chat-hf, context: 1024, device: gpu}
"""


def test_a_plan_is_shown_with_what_found_no_place(anynode: Command, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(SMALL)
    done = anynode("plan", path)
    assert done.code == 1
    assert "small: vllm on NVIDIA GPUs" in done.out
    assert "large found no place" in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80


def test_a_plan_is_json_for_programs(anynode: Command) -> None:
    done = anynode("plan", FLEETS / "nvidia.yaml", "--json")
    said = json.loads(done.out)
    assert done.code == 0
    assert said["models"][0]["num_replicas"] == 4
    assert {each["bottleneck"] for each in said["models"][0]["replicas"]} <= {
        "compute",
        "memory bandwidth",
    }
    assert said["refusals"] == []


def test_a_load_is_simulated(anynode: Command) -> None:
    arguments = ("--simulate", "--num-requests", 40, "--seed", 3)
    done = anynode("plan", FLEETS / "cpu.yaml", *arguments)
    assert done.code == 0
    assert "llama2-cpu-amd, simulated" in done.out
    first, second = (
        anynode("plan", FLEETS / "cpu.yaml", "--json", *arguments).out for _ in range(2)
    )
    assert first == second
    assert len(json.loads(first)["simulations"]) == 2


def test_a_trace_is_replayed(anynode: Command, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    row = '{"at_s": %s, "prompt_tokens": 100, "output_tokens": 20}\n'
    path.write_text("".join(row % (number / 2) for number in range(20)))
    done = anynode("plan", FLEETS / "nvidia.yaml", "--json", "--simulate", "--trace", path)
    (simulated,) = json.loads(done.out)["simulations"]
    assert [point["answered"] for point in simulated["points"]] == [20] * len(simulated["points"])


def test_this_machine_is_planned_for_with_a_model_of_the_command_line(anynode: Command) -> None:
    model = ROOT / "models" / "anynode-demo"
    done = anynode("plan", "--this-machine", "--model", model, "--json")
    assert done.code == 0
    assert json.loads(done.out)["models"][0]["name"] == "anynode-demo"


def test_mistakes_are_one_sentence(anynode: Command, tmp_path: Path) -> None:
    assert "give a fleet file with nodes" in anynode("plan").err
    path = tmp_path / "fleet.yaml"
    path.write_text("nodes: [{name: a, cores: 4, memory: 8GB, gpu: {}}]")
    done = anynode("plan", path)
    assert done.code == 2
    assert f"{path}: nodes.a: there is no key 'gpu' (did you mean 'gpus'?)" in done.err
    both = anynode("plan", path, "--this-machine")
    assert "it has nodes of its own" in both.err
    assert "give one of them" in anynode("plan", "--this-machine", "--from-cluster").err
