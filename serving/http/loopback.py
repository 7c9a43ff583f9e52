"""Refuses peers that are not on this machine.

For replicas whose port Ray opens on every interface although only a proxy on the same machine is
meant to reach it. It sees the TCP peer and believes no header. A peer without an address is a
Unix socket, which is local.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from serving.errors import Forbidden


class LoopbackOnlyMiddleware:
    """Raises Forbidden for peers elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it comes from this machine."""
        if scope["type"] == "http" and not is_local(scope.get("client")):
            raise Forbidden("This replica answers only to its own machine; use the cluster's URL.")
        await self._app(scope, receive, send)


def is_local(client: tuple[str, int] | None) -> bool:
    """Whether an ASGI peer is on this machine."""
    if client is None or not client[0]:
        return True
    try:
        # An IPv6 zone ("fe80::1%eth0") says nothing about being local.
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
