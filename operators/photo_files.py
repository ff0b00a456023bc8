# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos whose files are gone: finding them in another folder, or taking them out of the list."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, StringProperty

from ..bridge import photo_edit
from ..engine.errors import LikenessError
from . import preflight
from .photos import PhotoOperator


class LIKENESS_OT_photos_remove_missing(PhotoOperator, bpy.types.Operator):
    """Take all photos whose files are gone out of the list"""

    bl_idname = "likeness.photos_remove_missing"
    bl_label = "Remove Missing Photos"

    def execute(self, context: bpy.types.Context) -> set[str]:
        missing = photo_edit.missing_photos(context.scene)
        photo_edit.remove_photos(context.scene, missing)
        self.report(
            {"INFO"}, f"{len(missing)} missing photos are out of the list" if missing else "No photo is missing"
        )
        preflight.recheck(context)
        return {"FINISHED"} if missing else {"CANCELLED"}


class LIKENESS_OT_photos_relocate(PhotoOperator, bpy.types.Operator):
    """Find missing photos and masks by their names in a folder and the folders in it"""

    bl_idname = "likeness.photos_relocate"
    bl_label = "Find Missing Photos"

    directory: StringProperty(name="Folder", description="Folder to look in", subtype="DIR_PATH", options={"SKIP_SAVE"})
    filter_folder: BoolProperty(default=True, options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            found, lost = photo_edit.relocate_photos(context.scene, self.directory)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for name in lost:
            self.report({"WARNING"}, f'"{name}" is not in this folder')
        self.report(
            {"INFO"}, f"{found} files found, {len(lost)} still missing" if found or lost else "No file is missing"
        )
        preflight.recheck(context)
        return {"FINISHED"} if found else {"CANCELLED"}


CLASSES = (LIKENESS_OT_photos_remove_missing, LIKENESS_OT_photos_relocate)
