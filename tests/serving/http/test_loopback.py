from __future__ import annotations

import httpx
import pytest

from serving.http import FaceSettings, ReplicaFace
from serving.http.auth import ApiKeys
from serving.http.loopback import is_local
from tests.serving.http.live import echo, live


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        ("localhost.evil", False),
        ("0.0.0.0", False),
        ("", True),
    ],
)
def test_who_is_local(host, local):
    assert is_local((host, 1)) is local


def test_a_unix_socket_is_local():
    assert is_local(None)


def test_this_machine_is_served():
    with live(loopback_only=True) as replica:
        assert httpx.get(f"{replica.url}/health").status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_others_are_not(anyio_backend):
    face = ReplicaFace(
        FaceSettings(model_id="m", loopback_only=True), echo(), "echo", keys=ApiKeys()
    )
    transport = httpx.ASGITransport(face.asgi_app(), client=("10.1.2.3", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://replica") as client:
        answer = await client.get("/health", headers={"x-forwarded-for": "127.0.0.1"})
    assert answer.status_code == 403
    assert answer.json()["error"]["type"] == "permission_error"
