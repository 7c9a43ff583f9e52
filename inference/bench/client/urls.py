"""URLs as people give them: a server, a prefix, `…/v1`, or a whole endpoint. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from inference.bench.plan import RouteName
from serving.errors import ConfigError

PATHS: dict[RouteName, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "generate": "/generate",
}
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes."""

    host: str
    port: int
    tls: bool
    path: str  # with its query

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            host if self.port == PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"
        )


def base_url(url: str) -> str:
    """Without a known endpoint or `/v1` at its end, and without a slash."""
    bare = url.rstrip("/")
    for path in (*PATHS.values(), "/v1"):
        if bare.endswith(path):
            return bare.removesuffix(path)
    return bare


def endpoint_url(url: str, route: RouteName) -> str:
    """Where requests of this route go."""
    return base_url(url) + PATHS[route]


def address(url: str, route: RouteName) -> Address:
    """Raises ConfigError naming the URL and what is wrong with it."""
    try:
        parts = urlsplit(endpoint_url(url, route))
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from error
    if parts.scheme not in PORTS:
        raise ConfigError(f"{url}: it must begin with http:// or https://")
    if not parts.hostname:
        raise ConfigError(f"{url}: it names no host")
    if parts.query or parts.fragment:
        raise ConfigError(f"{url}: leave out what follows the path")
    if parts.username is not None:
        raise ConfigError("the URL holds a user name or password; put them into --header instead")
    tls = parts.scheme == "https"
    return Address(parts.hostname, port or PORTS[parts.scheme], tls, parts.path)
