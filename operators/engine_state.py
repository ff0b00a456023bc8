# SPDX-License-Identifier: GPL-3.0-or-later
"""What the preferences show of a running set-up. Kept on the window manager, so it is never saved into a .blend."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty, PointerProperty, StringProperty


class LikenessEngineState(bpy.types.PropertyGroup):
    """The set-up of the engine in this session."""

    running: BoolProperty()
    cancel: BoolProperty(description="The running set-up was asked to stop")
    factor: FloatProperty(min=0.0, max=1.0, subtype="FACTOR")
    text: StringProperty()
    error: StringProperty(description="Why the last set-up failed")


CLASSES = (LikenessEngineState,)


def engine_state(context: bpy.types.Context) -> Any:
    """The state, which lives as long as Blender runs."""
    return context.window_manager.likeness_engine


def register() -> None:
    """Make ``window_manager.likeness_engine`` available; the class is registered before."""
    bpy.types.WindowManager.likeness_engine = PointerProperty(type=LikenessEngineState)


def unregister() -> None:
    """Take it away. Safe to call twice."""
    if hasattr(bpy.types.WindowManager, "likeness_engine"):
        del bpy.types.WindowManager.likeness_engine
