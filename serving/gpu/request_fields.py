"""The fields that each route of an app with typed bodies knows, read from the routes themselves.

vLLM's request models accept any further field and ignore it, so a misspelt `temprature` or a
`guided_json` of old changes nothing and nobody hears of it. The models still say which names they
know; whoever stands before the app can refuse the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, get_args, get_type_hints

from pydantic import AliasChoices, BaseModel

from serving.engine import nearest
from serving.errors import InvalidRequest, UnsupportedField
from serving.http.refusals import CHAT_REFUSED
from serving.http.strict import asks_nothing

# Fields that callers of OpenAI's API send along. Those that say nothing about the answer are fine
# with every route; the others are refused unless they ask for nothing.
HARMLESS = frozenset({"user", "safety_identifier"})
KNOWN_ELSEWHERE = CHAT_REFUSED


def fields_by_path(routes: Iterable[Any]) -> dict[str, frozenset[str]]:
    """For each POST route with a typed JSON body: the names it knows, aliases among them."""
    fields = {}
    for route in routes:
        if "POST" in (getattr(route, "methods", None) or ()):
            models = list(_body_models(route.endpoint))
            if models:
                fields[route.path] = frozenset().union(*map(_names, models))
    return fields


def _body_models(endpoint: Any) -> Iterable[type[BaseModel]]:
    """The pydantic models among an endpoint's parameters, members of unions one by one."""
    hints = get_type_hints(inspect.unwrap(endpoint))
    hints.pop("return", None)
    for hint in hints.values():
        yield from _models_in(hint)


def _models_in(hint: Any) -> Iterable[type[BaseModel]]:
    if inspect.isclass(hint) and issubclass(hint, BaseModel):
        yield hint
    for inner in get_args(hint):
        yield from _models_in(inner)


def _names(model: type[BaseModel]) -> frozenset[str]:
    names = set()
    for name, field in model.model_fields.items():
        names.add(name)
        for alias in (field.alias, field.validation_alias):
            if isinstance(alias, str):
                names.add(alias)
            elif isinstance(alias, AliasChoices):
                names.update(choice for choice in alias.choices if isinstance(choice, str))
    return frozenset(names)


def refuse_unknown(given: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raise InvalidRequest or UnsupportedField for the first field that would be ignored."""
    for name in given.keys() - known - HARMLESS:  # empty for nearly every request
        if name not in KNOWN_ELSEWHERE:
            hint = nearest(name, sorted(known))
            raise InvalidRequest(f"{name}: this field is unknown{hint}.", param=name)
        if not asks_nothing(given[name], KNOWN_ELSEWHERE[name]):
            raise UnsupportedField(f"{name}: this is not supported here; leave it out.", param=name)
