# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the scene as it was before the last apply, and back."""

from __future__ import annotations

from typing import Any

import bpy

from ..bridge import snapshots
from ..engine.errors import LikenessError


class _NeedsBothSides:
    """An operator that needs something kept by an apply."""

    @classmethod
    def poll(cls: Any, context: bpy.types.Context) -> bool:
        if snapshots.is_kept(context.scene):
            return True
        cls.poll_message_set("There is no state before a result in this scene. Apply a result first")
        return False


class LIKENESS_OT_before_after(_NeedsBothSides, bpy.types.Operator):
    """Show the scene as it was before the last result was applied; press again for the result"""

    bl_idname = "likeness.before_after"
    bl_label = "Before/After"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            side = snapshots.toggle(context.scene)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        what = "the scene before the result" if side == "BEFORE" else "the result"
        self.report({"INFO"}, f"The scene shows {what}")
        return {"FINISHED"}


class LIKENESS_OT_before_after_clear(_NeedsBothSides, bpy.types.Operator):
    """Keep what the scene shows now and remove the other side of Before/After from the file"""

    bl_idname = "likeness.before_after_clear"
    bl_label = "Keep What Is Shown"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        removed = snapshots.clear(context.scene)
        self.report({"INFO"}, f"Removed {', '.join(removed) or 'no datablock'}")
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_before_after, LIKENESS_OT_before_after_clear)
