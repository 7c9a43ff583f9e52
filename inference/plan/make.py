"""`make_plan`: a fleet and what is known of its models become a plan. Pure."""

from __future__ import annotations

from inference.plan.build import model_plan
from inference.plan.fleet import Fleet
from inference.plan.plan import Plan
from inference.plan.planner import Facts, Solution, solve
from inference.plan.refusals import refusals


def make_plan(fleet: Fleet, facts: Facts) -> Plan:
    """The plan, with reasons and remedies for what found no place.

    `facts`: of each model's source. Raises ConfigError for a GPU that nothing is known of, or a
    context longer than its model was made for.
    """
    return plan_of(fleet, facts, solve(fleet, facts))


def plan_of(fleet: Fleet, facts: Facts, solution: Solution) -> Plan:
    """The same of a solution that is there already."""
    return Plan(
        models=tuple(
            model_plan(choice, facts[choice.model.source], solution.rooms)
            for choice in solution.choices
            if choice.trial is not None
        ),
        free=tuple(room.left() for room in solution.rooms),
        refusals=tuple(refusals(fleet, facts, solution)),
    )
