"""Small things both builders need, and what Serve configs call them."""

from __future__ import annotations

from typing import Any

from serving.model_source import is_hub_id

# What `import_path` says of an application of ours.
OUR_BUILDERS = ("inference:typed_app_builder", "inference.typed_app_builder")


def given(**settings: Any) -> dict[str, Any]:
    """Those that were said; the rest keep the defaults of whoever they belong to."""
    return {name: value for name, value in settings.items() if value is not None}


def default_name(model_name: str) -> str:
    """What callers say when nobody chose a name: a hub id as it is, else the folder's own name."""
    if is_hub_id(model_name):
        return model_name
    return model_name.rstrip("/").rpartition("/")[2].removesuffix(".gguf")
