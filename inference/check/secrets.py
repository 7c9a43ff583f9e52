"""Secrets that are written where they can be read, and placeholders for what is to be written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from inference.check.document import Document
from inference.check.finding import Finding
from inference.check.look import pairs

PLACEHOLDER = re.compile(r"^<[^<>]*>$|^!+$")
SECRET_KEY = re.compile(
    r"(?<!bos_)(?<!eos_)(?<!pad_)(?<!unk_)(?<!stop_)token$|"  # those are a tokenizer's
    r"secret$|password$|api_?keys?$|access_key$",
    re.IGNORECASE,
)
HF_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{20,}\b")


def is_placeholder(value: Any) -> bool:
    """Whether it stands for what somebody has to fill in."""
    return isinstance(value, str) and PLACEHOLDER.match(value) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether a setting of this name with this value is nobody else's business."""
    return bool(SECRET_KEY.search(name) or HF_TOKEN.search(value))


def check_secrets(document: Document) -> Iterator[Finding]:
    """Secrets in a Serve config: in the object of a RayService everybody sees them."""
    for path, value in pairs(document):
        if not isinstance(value, str) or not value or is_placeholder(value):
            continue
        if document.root and is_secret(str(path[-1]), value):
            yield document.finding(
                "secret",
                path,
                "this is a secret, and here the RayService keeps it and Ray's dashboard shows it",
                "take it from a Secret, by secretKeyRef in the env of the groups that load the "
                "model",
            )
        elif path[-1] == "hf_token" and "args" in path:
            yield document.finding(
                "hf-token",
                path,
                "a token in a file is read by everybody who reads the file",
                "leave it out and set HF_TOKEN in the environment",
            )
        elif is_secret(str(path[-1]), value):
            yield document.finding(
                "secret",
                path,
                "this is a secret, and everybody who may read the file reads it",
                "set it in the environment of whoever runs this",
            )
