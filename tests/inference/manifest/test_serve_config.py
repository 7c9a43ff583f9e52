"""The Serve config of a plan: arguments of ours, by what the model runs on."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from inference.args import ApplicationArgs
from inference.manifest.ray_service import serve_config_text
from inference.manifest.serve_config import serve_config
from inference.plan.fleet import DeviceKind, Fleet, Model, Node
from tests.inference.manifest.plans import GIB, model_plan, plan_of

NODES = (Node(name="a", cores=64, memory=256 * GIB),)


def args_of(kind: DeviceKind, model: Model, **planned: Any) -> dict[str, Any]:
    fleet = Fleet(nodes=NODES, models=(model,))
    plan = plan_of(model_plan(model.name, kind, [[("a", 0)]], **planned))
    config = serve_config(plan, fleet)
    found: dict[str, Any] = config["applications"][0]["args"]
    ApplicationArgs.model_validate(found)
    return found


@pytest.mark.parametrize(
    ("precision", "said"),
    [
        ("bfloat16", {"data_type": "bfloat16"}),
        ("fp8", {"load_in_8bit": True}),
        ("int4", {"load_in_4bit": True}),
    ],
)
def test_weights_on_gpus(precision: str, said: dict[str, Any]) -> None:
    args = args_of("nvidia_gpu", Model(name="m", source="o/m"), precision=precision)
    assert said.items() <= args.items()
    assert len({"data_type", "load_in_8bit", "load_in_4bit"} & set(args)) == 1


@pytest.mark.parametrize(
    ("kind", "engine", "target", "named"),
    [
        ("intel_cpu", "openvino", "INTEL", None),
        ("amd_cpu", "onnx", "AMD", None),
        ("amd_cpu", "openvino", "AMD", "openvino"),
    ],
)
def test_engines_are_named_only_where_they_are_unusual(
    kind: DeviceKind, engine: str, target: str, named: str | None
) -> None:
    args = args_of(kind, Model(name="m", source="o/m"), engine=engine, precision="int8")
    assert args["target_device"] == target
    assert args.get("engine") == named


def test_what_the_fleet_file_says_wins() -> None:
    model = Model(name="m", source="o/m", args={"max_new_tokens": 7, "batch_size": 3})
    args = args_of("amd_cpu", model, precision="int8")
    assert (args["max_new_tokens"], args["batch_size"]) == (7, 3)


def test_a_model_has_its_own_route_or_its_name() -> None:
    models = (Model(name="a", source="o/a"), Model(name="b", source="o/b", route="/"))
    plan = plan_of(*(model_plan(each.name, "amd_cpu", [[("a", 0)]]) for each in models))
    config = serve_config(plan, Fleet(nodes=NODES, models=models))
    assert [each["route_prefix"] for each in config["applications"]] == ["/a", "/"]


def test_the_text_is_the_config() -> None:
    fleet = Fleet(nodes=NODES, models=(Model(name="m", source="o/m"),))
    plan = plan_of(model_plan("m", "amd_cpu", [[("a", 0)]], precision="int8"))
    assert yaml.safe_load(serve_config_text(plan, fleet)) == serve_config(plan, fleet)
