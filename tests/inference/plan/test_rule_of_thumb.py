from pathlib import Path

import inference
from inference.plan.fit import Fit
from inference.plan.rule_of_thumb import EDGES, markdown, verdicts

PAGE = Path(inference.__file__).parents[1] / "docs" / "plan.md"


def test_the_page_shows_the_table_that_the_function_makes() -> None:
    assert markdown() in PAGE.read_text(encoding="utf-8")


def test_the_plan_holds_what_was_published_wherever_it_was() -> None:
    for each in verdicts():
        if each.row.at_once is not None:
            assert isinstance(each.fit, Fit)
            assert each.fit.max_sequences >= each.row.at_once


def test_the_rule_errs_on_both_sides() -> None:
    found = {each.row: (each.thumb, each.planned) for each in verdicts()}
    assert [found[row] for row in EDGES] == [(True, False), (False, True)]


def test_weights_of_70_b_are_the_published_parts() -> None:
    """70, 35 and 17.5 GB on each of 2, 4 and 8 GPUs."""
    parts = {
        each.row.num_gpus: each.fit.bytes_per_device.weights / 1e9
        for each in verdicts()
        if "Llama-3-70B" in each.row.source and isinstance(each.fit, Fit)
    }
    assert {width: round(size) for width, size in parts.items()} == {2: 71, 4: 35, 8: 18}
