"""serving.gpu.request_fields: the names a route's models know, however they are declared."""

from __future__ import annotations

import functools

import pytest
from fastapi import FastAPI, Request
from pydantic import AliasChoices, BaseModel, Field

from serving.errors import InvalidRequest, UnsupportedField
from serving.gpu.request_fields import fields_by_path, refuse_unknown


class Plain(BaseModel):
    one: int
    two: int = Field(alias="second")
    three: int = Field(validation_alias=AliasChoices("third", "drei"))


class Other(BaseModel):
    four: int


def wrapped(endpoint):
    @functools.wraps(endpoint)
    async def inner(*args, **kwargs):
        return await endpoint(*args, **kwargs)

    return inner


def test_names_are_read_through_wrappers_and_unions():
    app = FastAPI()

    @app.post("/plain")
    @wrapped
    async def plain(asked: Plain, raw: Request) -> Other: ...

    @app.post("/either")
    async def either(asked: Plain | Other) -> None: ...

    @app.get("/read")
    async def read(asked: str) -> None: ...

    @app.post("/raw")
    async def raw(request: Request) -> None: ...

    plain_names = {"one", "two", "second", "three", "third", "drei"}
    assert fields_by_path(app.routes) == {
        "/plain": plain_names,
        "/either": plain_names | {"four"},
    }


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"one": 1}, None),
        ({"user": "me", "safety_identifier": "x"}, None),
        ({"store": False, "metadata": None}, None),
        ({"store": True}, UnsupportedField),
        ({"guided_regex": "a"}, UnsupportedField),
        ({"onee": 1}, InvalidRequest),
    ],
)
def test_what_would_be_ignored_is_refused(given, kind):
    if kind is None:
        refuse_unknown(given, frozenset({"one"}))
        return
    with pytest.raises(InvalidRequest) as caught:
        refuse_unknown(given, frozenset({"one"}))
    assert type(caught.value) is kind
    assert caught.value.param == next(iter(given))
