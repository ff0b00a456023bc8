# SPDX-License-Identifier: GPL-3.0-or-later
"""Likeness: change a Blender scene until its render looks like the photos.

One tree is both the Python package ``likeness`` and the Blender extension of that name. Importing it needs no Blender:
bpy comes in with ``register()``, which Blender calls, and with the functions that open a scene.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import Fit, fit
    from .engine.errors import LikenessError

__version__ = "0.1.0"
__all__ = ["Fit", "LikenessError", "__version__", "fit"]


def __getattr__(name: str) -> Any:
    if name in ("Fit", "fit"):
        return getattr(import_module(".api", __name__), name)
    if name == "LikenessError":
        return import_module(".engine.errors", __name__).LikenessError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def register() -> None:
    """Blender switches the add-on on."""
    from . import registration

    registration.register()


def unregister() -> None:
    """Blender switches the add-on off."""
    from . import registration

    registration.unregister()
