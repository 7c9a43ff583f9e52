"""API keys: who may ask.

Keys come from ANYNODE_API_KEY (one, or several with commas between) or from the file that
ANYNODE_API_KEY_FILE names (one a line, plain or as `sha256:<hex>`; `#` starts a comment). Only
their SHA-256 is kept, and neither is ever logged. With no key configured everybody may ask.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import ConfigError, Unauthorized

KEY_VARIABLE = "ANYNODE_API_KEY"
FILE_VARIABLE = "ANYNODE_API_KEY_FILE"
OPEN_PATHS = frozenset({"/health", "/version"})  # probes carry no key


class ApiKeys:
    """The digests of the keys that are accepted."""

    def __init__(self, digests: frozenset[bytes] = frozenset()) -> None:
        self._digests = digests

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> ApiKeys:
        """The keys the operator configured.

        ConfigError when they cannot be read or there are none where some were promised: a
        mistake must never leave the door open.
        """
        keys: set[bytes] = set()
        if KEY_VARIABLE in environment:
            keys |= _promised(KEY_VARIABLE, environment[KEY_VARIABLE].split(","))
        if FILE_VARIABLE in environment:
            keys |= _promised(FILE_VARIABLE, _lines(environment[FILE_VARIABLE]))
        return cls(frozenset(keys))

    def __bool__(self) -> bool:
        return bool(self._digests)

    def accept(self, key: bytes) -> bool:
        """Whether `key`, as it came over the wire, is one of ours; the time does not tell."""
        digest = _digest(key)
        # All are compared, whichever matches: any() alone would stop at the first.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches)


def _promised(source: str, entries: list[str]) -> set[bytes]:
    digests = {_entry_digest(source, entry.strip()) for entry in entries if entry.strip()}
    if not digests:
        raise ConfigError(f"{source} is set but holds no key; unset it to serve everybody")
    return digests


def _lines(path: str) -> list[str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE_VARIABLE}: cannot read {path}: {error}") from error
    return [line.partition("#")[0] for line in text.splitlines()]


def _entry_digest(source: str, entry: str) -> bytes:
    if not entry.startswith("sha256:"):
        return _digest(entry.encode())
    try:
        digest = bytes.fromhex(entry.removeprefix("sha256:"))
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise ConfigError(f"{source}: after 'sha256:' must come 64 hexadecimal digits")
    return digest


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class AuthMiddleware:
    """Lets a request pass when it carries `Authorization: Bearer <key>` with one of our keys."""

    def __init__(self, app: ASGIApp, keys: ApiKeys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Unauthorized for everything but the open paths."""
        if scope["type"] == "http" and self._keys and _route_path(scope) not in OPEN_PATHS:
            self._check(dict(scope["headers"]).get(b"authorization", b""))
        await self._app(scope, receive, send)

    def _check(self, header: bytes) -> None:
        scheme, _, key = header.partition(b" ")
        if not key:
            raise Unauthorized("Send your API key as 'Authorization: Bearer <key>'.")
        if scheme.lower() != b"bearer" or not self._keys.accept(key.strip()):
            raise Unauthorized("This API key is not accepted here.")


def _route_path(scope: Scope) -> str:
    """The path as the routes know it, without the prefix the application is mounted under."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
