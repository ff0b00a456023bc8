# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits that are computed on another machine: the job goes out as a folder, and comes back with a result in it."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import api
from ..bridge import history
from ..engine.errors import LikenessError
from .apply import say_what_changed


class LIKENESS_OT_job_save(bpy.types.Operator):
    """Save everything that the fit needs as a folder, to compute it on another machine"""

    bl_idname = "likeness.job_save"
    bl_label = "Save Job"
    bl_options = {"REGISTER"}

    directory: StringProperty(name="Folder", description="Folder of the job", subtype="DIR_PATH", options={"SKIP_SAVE"})
    copy_photos: BoolProperty(
        name="Copy Photos",
        description="Copy photos and masks into the folder, so that it can be moved. Off: the job refers to the files",
        default=True,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if any(photo.enabled for photo in context.scene.likeness.photos):
            return True
        cls.poll_message_set("No photo is in use. Add one to the list")
        return False

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            plan = api.save_plan(context.scene, _folder(self.directory), self.copy_photos)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for message in plan.warnings:
            self.report({"WARNING"}, message)
        self.report({"INFO"}, f"Saved the job as {self.directory}")
        return {"FINISHED"}


class LIKENESS_OT_job_apply(bpy.types.Operator):
    """Write the result in a job folder into materials, lights, world and cameras, and add it to the history"""

    bl_idname = "likeness.job_apply"
    bl_label = "Apply Job"
    bl_options = {"REGISTER", "UNDO"}

    directory: StringProperty(name="Folder", description="Folder of the job", subtype="DIR_PATH", options={"SKIP_SAVE"})
    keep_before: BoolProperty(
        name="Keep Before", description="Keep the state before in the file for Before/After", default=True
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            summary = history.apply_folder(context.scene, _folder(self.directory), self.keep_before)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        say_what_changed(self, summary)
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_job_save, LIKENESS_OT_job_apply)


def _folder(directory: str) -> Path:
    return Path(bpy.path.abspath(directory))
