"""Options that belong together, as one dataclass; `spread` makes a command of a function of them.

Several commands share a group, and a command's function receives what it needs as objects instead
of thirty arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints


def spread(function: Callable[..., None]) -> Callable[..., None]:
    """For Typer: every parameter that is a dataclass becomes one option for each of its fields."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += _options(hints[name])
        else:
            keyword = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[name], kind=keyword))

    def command(**given: Any) -> None:
        whole = {
            name: group(**{each.name: given.pop(each.name) for each in fields(group)})
            for name, group in groups.items()
        }
        function(**whole, **given)

    command.__name__ = function.__name__
    command.__doc__ = function.__doc__
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    vars(command)["__signature__"] = inspect.Signature(parameters)
    return command


def _options(group: type[Any]) -> list[inspect.Parameter]:
    """A group's fields; like Typer's own parameters, those without a default are required."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=getattr(group, each.name, inspect.Parameter.empty),
            annotation=hints[each.name],
        )
        for each in fields(group)
    ]
