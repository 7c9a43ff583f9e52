"""anynode's application layer over Ray Serve; `inference:typed_app_builder` is its way in.

Importing this package is cheap and needs no engine and no Ray: the builder is imported when it is
first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inference.app import typed_app_builder

__all__ = ["typed_app_builder"]


def __getattr__(name: str) -> Any:
    if name == "typed_app_builder":
        from inference.app import typed_app_builder

        return typed_app_builder
    raise AttributeError(f"module 'inference' has no attribute '{name}'")
