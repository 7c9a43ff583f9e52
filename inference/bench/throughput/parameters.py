"""`parameters.json` as the on-premises throughput tool reads it, and its Azure sibling's names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from inference.bench.client.urls import PATHS, address
from inference.bench.plan import RouteName
from inference.bench.text_file import parse_json, read_text
from serving.engine import nearest
from serving.errors import ConfigError

Mode = Literal["chat", "completion"]
ROUTES: dict[Mode, RouteName] = {"chat": "chat", "completion": "completions"}

RENAMED = {"MAX_NEW_TOKEN": "MAX_NEW_TOKENS"}  # the Azure sibling's key
OUR_HEADERS = ("content-length", "host", "transfer-encoding", "connection")
SECRET = ("model_headers", "api_key")
OVERRIDDEN = ("model_path", "model_endpoints", "safe_check", "tokenizer_path")  # by options
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _listed(given: Any) -> Any:
    """The Azure sibling gives one endpoint, not in a list."""
    return [given] if isinstance(given, str) else given


class Parameters(BaseModel):
    """What is measured; in the file every key is in capitals."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=str.upper, allow_inf_nan=False
    )

    max_new_tokens: PositiveInt = 256
    concurrent_levels: list[PositiveInt] = Field(
        default=[1, 2, 4, 8, 16, 32, 64, 128, 256], min_length=1
    )
    model_path: str | None = Field(default=None, min_length=1)  # None: the first model served
    model_headers: dict[str, str] = Field(default={}, repr=False)
    model_endpoints: Annotated[list[str], BeforeValidator(_listed)] = []
    safe_check: bool = False
    threshold_tps: float = Field(default=7.0, ge=0)
    tokenizer_path: str | None = Field(default=None, min_length=1)
    random_prompt_length: PositiveInt = 1000
    temperature: float = Field(default=0.6, ge=0)
    top_p: float = Field(default=0.9, gt=0, le=1)
    api_key: str | None = Field(default=None, min_length=1, repr=False)
    sys_prompt: str | None = Field(default=None, min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("it must be one JSON object")
        found: dict[str, Any] = {}
        known = [*(name.upper() for name in cls.model_fields), *RENAMED]
        for key, value in given.items():
            if key not in known:
                raise ValueError(f"there is no key '{key}'{nearest(key.upper(), known)}")
            name = str(RENAMED.get(key, key))
            if name in found:
                raise ValueError(f"{' and '.join(sorted((key, name)))} are one key; leave one out")
            found[name] = value
        return found

    @field_validator("concurrent_levels")
    @classmethod
    def _each_once(cls, levels: list[int]) -> list[int]:
        for level in levels:
            if levels.count(level) > 1:
                raise ValueError(f"{level} is in it twice; --repeats measures each level again")
        return levels

    @field_validator("model_endpoints")
    @classmethod
    def _are_urls(cls, urls: list[str]) -> list[str]:
        for url in urls:
            try:
                address(url, "chat")
            except ConfigError as error:
                raise ValueError(error.message) from error
        return urls

    @field_validator("model_headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not HEADER_NAME.fullmatch(name) or not value.isprintable() or not value.isascii():
                raise ValueError(f"{name!r} is no header that can be sent")
            if name.lower() in OUR_HEADERS:
                raise ValueError(f"{name} is set for each request; leave it out")
            if name.lower() == "content-type" and value != "application/json":
                raise ValueError(f"{name} can only be application/json")
        return headers

    @model_validator(mode="after")
    def _one_key(self) -> Parameters:
        names = {name.lower() for name in self.model_headers}
        if self.api_key and "authorization" in names:
            raise ValueError("API_KEY and MODEL_HEADERS' Authorization are both keys; keep one")
        return self

    def headers(self) -> dict[str, str]:
        """What every request carries, besides its type, which it has anyway."""
        found = {
            name: value
            for name, value in self.model_headers.items()
            if name.lower() != "content-type"
        }
        return {**found, "Authorization": f"Bearer {self.api_key}"} if self.api_key else found

    def published(self, mode: Mode) -> dict[str, Any]:
        """What of it is in force whatever the command line says, and holds no key."""
        unused = "random_prompt_length" if mode == "chat" else "sys_prompt"
        return self.model_dump(
            by_alias=True, exclude={*OVERRIDDEN, *SECRET, unused}, exclude_none=True
        )

    def notes(self, mode: Mode, urls: Sequence[str]) -> list[str]:
        """What a person should know of how these parameters are used. Pure."""
        said = [_other_route(url, ROUTES[mode]) for url in urls]
        if self.api_key:
            said.append("API_KEY: a key in a file is soon published; set ANYNODE_API_KEY instead.")
        if mode == "completion" and self.sys_prompt:
            said.append("SYS_PROMPT is not sent: --mode completion has no system turn.")
        return [note for note in said if note]


def read_parameters(path: Path) -> Parameters:
    """Raises ConfigError naming the file, the key and what is wrong with it."""
    found = parse_json(read_text(path, "--params"), path)
    try:
        return Parameters.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise ConfigError(f"{path}: {place}{first['msg'].removeprefix('Value error, ')}") from error


def _other_route(url: str, route: RouteName) -> str | None:
    """A note for an endpoint of another route than the one that is asked."""
    bare = url.rstrip("/")
    for path in PATHS.values():
        if bare.endswith(path) and path != PATHS[route]:
            base = bare.removesuffix(path)
            return f"{bare} is asked at {base}{PATHS[route]}: --mode says which route."
    return None
