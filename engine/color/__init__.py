# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's colour management for the engine: scene-linear radiance to the picture on the screen and back.

``bake`` runs wherever OpenColorIO is (in Blender, too) and needs neither torch nor Warp; ``ViewTransform`` needs both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .bake import BakedView, bake
from .srgb import srgb_decode, srgb_encode
from .tone import ToneCurve

if TYPE_CHECKING:
    from .transform import ViewTransform

__all__ = ["BakedView", "ToneCurve", "ViewTransform", "bake", "srgb_decode", "srgb_encode"]


def __getattr__(name: str) -> Any:
    if name == "ViewTransform":
        from .transform import ViewTransform

        return ViewTransform
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
