"""A large fleet is planned in seconds."""

import time

import pytest

from inference.plan.fleet import Fleet, Model
from inference.plan.make import make_plan
from tests.inference.plan.fleets import SOURCES, cpu_node, facts_of, gpu_node

PRODUCTS = ("A100-SXM4-80GB", "H100", "L40S", "L4", "T4", "MI300X")


@pytest.mark.parametrize("concurrency", [100, 2000])  # all fits; much does not
def test_200_nodes_and_50_models_take_less_than_5_s(concurrency: int) -> None:
    nodes = [
        cpu_node(f"n{number}", cores=128, memory="1TB")
        if number % 4 == 3
        else gpu_node(f"n{number}", PRODUCTS[number % len(PRODUCTS)], 4 + number % 2 * 4)
        for number in range(200)
    ]
    models = [
        Model(
            name=f"m{number}",
            source=SOURCES[number % len(SOURCES)],
            context=4096,
            tokens=500,
            concurrency=concurrency + number,
        )
        for number in range(50)
    ]
    fleet = Fleet(nodes=nodes, models=models)
    facts = facts_of(fleet)
    start_s = time.process_time()  # others' work on this machine does not count
    plan = make_plan(fleet, facts)
    assert time.process_time() - start_s < 5
    assert len(plan.free) == 200
    assert bool(plan.refusals) == (concurrency == 2000)
