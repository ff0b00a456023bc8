# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels show of a running or finished fit. Kept on the window manager, so it is never saved into a .blend."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty, PointerProperty, StringProperty


class LikenessRun(bpy.types.PropertyGroup):
    """The fit of this session."""

    running: BoolProperty()
    cancel: BoolProperty(description="The running fit was asked to stop")
    factor: FloatProperty(min=0.0, max=1.0, subtype="FACTOR")
    text: StringProperty()
    scene: StringProperty(description="Scene that the fit belongs to")
    folder: StringProperty(description="Job folder of the last fit", subtype="DIR_PATH")
    has_result: BoolProperty(description="The job folder holds a result")
    stopped: BoolProperty(description="The fit was stopped before its end and can go on")
    report: StringProperty(description="Page of the last report", subtype="FILE_PATH")


CLASSES = (LikenessRun,)


def run_state(context: bpy.types.Context) -> Any:
    """The state, which lives as long as Blender runs."""
    return context.window_manager.likeness_run


def register() -> None:
    """Make ``window_manager.likeness_run`` available; the classes are registered before."""
    bpy.types.WindowManager.likeness_run = PointerProperty(type=LikenessRun)


def unregister() -> None:
    """Take it away. Safe to call twice."""
    if hasattr(bpy.types.WindowManager, "likeness_run"):
        del bpy.types.WindowManager.likeness_run
