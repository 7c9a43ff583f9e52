"""URLs in every form people give them."""

from __future__ import annotations

import pytest

from inference.bench.client.urls import Address, address, base_url, endpoint_url
from serving.errors import ConfigError

FORMS = ["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/completions", "/generate"]


@pytest.mark.parametrize("prefix", ["", "/cpu", "/a/b"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_leads_to_the_same_endpoint(prefix, form):
    url = f"http://host:8000{prefix}{form}"
    assert base_url(url) == f"http://host:8000{prefix}"
    assert endpoint_url(url, "completions") == f"http://host:8000{prefix}/v1/completions"
    assert endpoint_url(url, "generate") == f"http://host:8000{prefix}/generate"


def test_an_address_has_all_that_a_request_needs():
    assert address("https://host/x", "chat") == Address("host", 443, True, "/x/v1/chat/completions")
    assert address("http://[::1]:9", "chat").authority == "[::1]:9"
    assert address("http://host", "chat").authority == "host"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "http://"),
        ("ftp://host", "http://"),
        ("http://", "no host"),
        ("http://host:port", "port"),
        ("http://host/?model=a", "what follows the path"),
        ("http://me:secret@host", "--header"),
    ],
)
def test_what_is_no_url_is_refused(url, words):
    with pytest.raises(ConfigError, match=words) as refused:
        address(url, "chat")
    assert "secret" not in str(refused.value)
