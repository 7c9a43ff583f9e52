import re
from pathlib import Path

import pytest
import yaml

import inference
from inference.plan.fleet import Fleet
from inference.plan.load import check_fleet, find_facts, read_fleet_file
from inference.plan.make import make_plan
from serving.errors import ConfigError

FLEETS = Path(inference.__file__).parents[1] / "k8s" / "fleets"
NODE = {"name": "a", "cores": 8, "memory": "32GB"}
MODEL = {"name": "m", "source": "owner/m"}


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"node": []}, r"file: there is no key 'node' \(did you mean 'nodes'\?\)"),
        ({"nodes": []}, "nodes: .*at least 1"),
        ({"nodes": [{**NODE, "core": 1}]}, r"nodes\.a: there is no key 'core' .*'cores'"),
        ({"nodes": [{**NODE, "cores": 0}]}, r"nodes\.a\.cores: .*greater than 0"),
        ({"nodes": [{**NODE, "vendor": "ARM"}]}, r"nodes\.a\.vendor: .*'INTEL' or 'AMD'"),
        ({"nodes": [{**NODE, "gpus": {"product": "L4", "mem": 1}}]}, r"gpus\.0: .*'mem'"),
        ({"nodes": [{**NODE, "head": True, "count": 2}]}, r"nodes\.a: head: there is one head"),
        ({"nodes": [{**NODE, "cores": 4, "head": True}]}, "reserved_cores: none of 4 cores"),
        ({"nodes": [{**NODE, "sockets": 16}]}, "sockets: 16 sockets cannot share 8 cores"),
        ({"nodes": [NODE, NODE]}, "node 'a' is there twice"),
        ({"nodes": [NODE], "models": [MODEL, MODEL]}, "model 'm' is there twice"),
        (
            {"nodes": [NODE], "models": [MODEL | {"name": "x", "route": "/m"}, MODEL]},
            "route '/m' is there twice",
        ),
        ({"nodes": [NODE], "models": [{**MODEL, "precison": "int8"}]}, r"models\.m: .*'precision'"),
        ({"nodes": [NODE], "models": [{**MODEL, "replicas": 0}]}, r"models\.m\.replicas"),
        (
            {"nodes": [NODE], "models": [{**MODEL, "args": {"temprature": 1}}]},
            r"models\.m\.args: there is no argument 'temprature' \(did you mean 'temperature'",
        ),
        (
            {"nodes": [NODE], "models": [{**MODEL, "args": {"temperature": 3}}]},
            r"models\.m\.args: temperature: .*less than or equal to 2",
        ),
        (
            {"nodes": [NODE], "models": [{**MODEL, "args": {"max_model_len": 9}}]},
            r"models\.m\.args: 'max_model_len' is decided here: set context",
        ),
    ],
)
def test_a_wrong_file_is_refused_by_field(said: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_fleet(said, "file")


def test_files_that_are_no_fleet_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    with pytest.raises(ConfigError, match="cannot be read"):
        read_fleet_file(path)
    path.write_text("nodes: [")
    with pytest.raises(ConfigError, match=r"fleet\.yaml: not YAML"):
        read_fleet_file(path)
    path.write_text("- a\n")
    with pytest.raises(ConfigError, match="must be a mapping"):
        read_fleet_file(path)


def example(name: str) -> Fleet:
    path = FLEETS / f"{name}.yaml"
    return check_fleet(read_fleet_file(path), str(path))


@pytest.mark.parametrize("name", ["nvidia", "amd", "cpu", "mixed"])
def test_the_examples_have_a_place_for_everything(name: str) -> None:
    fleet = example(name)
    plan = make_plan(fleet, find_facts(fleet))
    assert plan.refusals == ()
    assert [model.name for model in plan.models] == [model.name for model in fleet.models]


def test_the_nvidia_example_is_placed_as_its_owners_did() -> None:
    """Four replicas of four GPUs: two on the head, one on each of the others."""
    fleet = example("nvidia")
    (model,) = make_plan(fleet, find_facts(fleet)).models
    assert model.tensor_parallel_size == 4
    nodes = sorted(replica.node for replica in model.replicas)
    assert nodes == ["r760xa", "xe8545", "xe9680", "xe9680"]


def test_the_cpu_example_gives_each_vendor_its_engine_and_replicas_their_sockets() -> None:
    fleet = example("cpu")
    intel, amd = make_plan(fleet, find_facts(fleet)).models
    assert [intel.engine, amd.engine] == ["openvino", "onnx"]
    assert intel.num_cpus == 110  # of the head's 220, on two sockets
    for model in (intel, amd):
        places = [(replica.node, replica.devices[0].index) for replica in model.replicas]
        assert len(set(places)) == 4


def test_the_page_s_file_is_right() -> None:
    page = (FLEETS.parents[1] / "docs" / "plan.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    fleet = check_fleet(yaml.safe_load(text), "docs/plan.md")
    plan = make_plan(fleet, find_facts(fleet))
    assert plan.refusals == ()
    assert plan.models[0].num_replicas == 4
