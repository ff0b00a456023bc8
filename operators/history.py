# SPDX-License-Identifier: GPL-3.0-or-later
"""Earlier runs of the scene: apply them again, take their settings, remove them."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import BoolProperty, IntProperty

from ..bridge import history
from ..engine.errors import LikenessError
from .apply import say_what_changed


class _OnARun:
    """An operator on one run of the history."""

    index: IntProperty(
        name="Index", description="Place of the run in the history, from 0. -1: the active run", default=-1, min=-1
    )

    @classmethod
    def poll(cls: Any, context: bpy.types.Context) -> bool:
        if len(context.scene.likeness.runs):
            return True
        cls.poll_message_set("The history of this scene is empty. Run Fit first")
        return False


class LIKENESS_OT_history_apply(_OnARun, bpy.types.Operator):
    """Write the result of an earlier run into materials, lights, world and cameras"""

    bl_idname = "likeness.history_apply"
    bl_label = "Apply Run"
    bl_options = {"REGISTER", "UNDO"}

    keep_before: BoolProperty(
        name="Keep Before", description="Keep the state before in the file for Before/After", default=True
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            summary = history.apply_run(context.scene, self.index, self.keep_before)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        say_what_changed(self, summary)
        return {"FINISHED"}


class LIKENESS_OT_history_remove(_OnARun, bpy.types.Operator):
    """Take a run out of the history and delete its files, which undo does not bring back. What was applied stays"""

    bl_idname = "likeness.history_remove"
    bl_label = "Remove Run"
    bl_options = {"REGISTER", "UNDO"}

    delete_files: BoolProperty(
        name="Delete Files", description="Delete the job folder of the run, if Likeness made it", default=True
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_confirm(self, event)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            name = history.remove_run(context.scene, self.index, self.delete_files)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Removed {name} from the history")
        return {"FINISHED"}


class LIKENESS_OT_history_settings(_OnARun, bpy.types.Operator):
    """Put targets and settings of a run back into the panels"""

    bl_idname = "likeness.history_settings"
    bl_label = "Restore Settings"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            missing = history.restore_settings(context.scene, self.index)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for message in missing:
            self.report({"WARNING"}, message)
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_history_apply, LIKENESS_OT_history_remove, LIKENESS_OT_history_settings)
