"""The committed manifests on a rack of their nodes: every replica is where it was planned.

Each manifest's serveConfigV2 goes to Ray's dashboard by the operator's own call. The nodes are
processes of this machine that say of themselves what KubeRay would say of the manifest's pods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from inference.plan.fleet import GPU_KINDS
from inference.plan.plan import ModelPlan, Plan
from tests.inference.manifest.committed import COMMITTED, fleet_named, plan_for
from tests.inference.rack import manifest
from tests.inference.rack.asking import Ask, Asking, completion
from tests.inference.rack.manifest import Placement
from tests.inference.rack.rack import LOOPBACK, Rack
from tests.inference.rack.waiting import wait_for

REAL = "one-node"  # its model is in the repository, so nothing of it is exchanged
NODE_IS_KILLED = "cpu"

pytestmark = pytest.mark.timeout(900)  # many nodes on few cores


@pytest.fixture(scope="module")
def rack() -> Iterator[Rack]:
    with Rack(manifest.head(manifest.read("mixed"))) as rack:
        yield rack


@contextmanager
def deployed(rack: Rack, name: str) -> Iterator[None]:
    """A manifest on its nodes, all of it running."""
    service = manifest.read(name)
    config = manifest.serve_config(service)
    if name != REAL:
        config = manifest.with_stand_in(config)
    pods = manifest.workers(service)
    try:
        rack.add(pods)
        rack.dashboard.deploy(manifest.on_one_address(config, LOOPBACK, rack.port))
        wait_for(rack.dashboard.all_run, rack.dashboard.applications)
        yield
    finally:
        rack.dashboard.deploy({"applications": []})
        wait_for(lambda: not rack.dashboard.applications(), rack.dashboard.applications)
        rack.kill(pods)


def check(rack: Rack, name: str, planned: Placement, plan: Plan) -> None:
    """Places, resources, answers."""
    assert rack.dashboard.placement() == planned
    assert rack.dashboard.resources() == {
        model.name: [asked(model)] * model.num_replicas for model in plan.models
    }
    for application in manifest.serve_config(manifest.read(name))["applications"]:
        url = rack.url(application["route_prefix"])
        wait_until_answered(completion(url, application["name"], echo=name != REAL))


def wait_until_answered(ask: Ask) -> None:
    """Serve says that all run a little before its proxy knows the way."""
    wait_for(lambda: ask() is None, ask)


def asked(model: ModelPlan) -> dict[str, float]:
    """What Ray is to give each replica of a model."""
    gpus = {"GPU": model.tensor_parallel_size} if model.kind in GPU_KINDS else {}
    return {"CPU": model.num_cpus, **gpus}


@pytest.mark.parametrize("name", sorted(set(COMMITTED) - {NODE_IS_KILLED}))
def test_replicas_are_where_they_were_planned(rack: Rack, name: str) -> None:
    fleet = fleet_named(name)
    plan = plan_for(fleet)
    with deployed(rack, name):
        check(rack, name, manifest.planned(plan, fleet), plan)


def test_replicas_of_a_killed_node_come_back_with_it_and_others_answer_meanwhile(
    rack: Rack,
) -> None:
    killed, kept = "llama2-cpu-amd", "llama2-cpu-intel"
    fleet = fleet_named(NODE_IS_KILLED)
    plan = plan_for(fleet)
    planned = manifest.planned(plan, fleet)
    with deployed(rack, NODE_IS_KILLED):
        check(rack, NODE_IS_KILLED, planned, plan)
        pods = manifest.workers(manifest.read(NODE_IS_KILLED))
        (pod,) = (each for each in pods if each.name == f"{killed}-amd-2")
        without = Counter(planned)
        assert without.pop((killed, pod.name)) == 2
        with Asking(completion(rack.url("/cpu"), kept)) as asking:
            rack.kill([pod])
            wait_for(lambda: rack.dashboard.placement() == without, rack.dashboard.placement)
            wait_until_answered(completion(rack.url("/acpu"), killed))  # by the other node's
            num_answered = asking.num_answered
            wait_for(lambda: asking.num_answered > num_answered, asking.told)
            rack.add([pod])
            wait_for(lambda: rack.dashboard.placement() == planned, rack.dashboard.placement)
        assert asking.failures == []
