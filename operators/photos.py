# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding photos to the list and taking them out."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import CollectionProperty, StringProperty

from ..bridge import photo_list, session
from ..engine.errors import LikenessError


class LIKENESS_OT_photo_add(bpy.types.Operator):
    """Add photos to the list. A photo that is named like a camera belongs to it, the others to the chosen camera"""

    bl_idname = "likeness.photo_add"
    bl_label = "Add Photos"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    directory: StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE"})
    files: CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE"})
    camera: StringProperty(name="Camera", description="Camera that took the photos", options={"SKIP_SAVE"})
    filter_glob: StringProperty(
        default="*.jpg;*.jpeg;*.png;*.tif;*.tiff;*.webp;*.exr;*.hdr", options={"HIDDEN", "SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if session.camera_names(context.scene):
            return True
        cls.poll_message_set("The scene has no camera. Add one for each photo")
        return False

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        active = context.active_object
        if not self.camera:
            is_camera = active is not None and active.type == "CAMERA"
            self.camera = active.name if is_camera else session.active_camera(context.scene) or ""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.prop_search(self, "camera", context.scene, "objects", icon="CAMERA_DATA")

    def execute(self, context: bpy.types.Context) -> set[str]:
        paths = [Path(self.directory, item.name) for item in self.files if item.name] or [Path(self.filepath)]
        if not self.filepath and not self.files:
            self.report({"ERROR"}, "No photo was chosen")
            return {"CANCELLED"}
        cameras = session.camera_names(context.scene)
        fallback = self.camera or session.active_camera(context.scene) or cameras[0]
        try:
            for path in paths:
                photo_list.add_photo(context.scene, path.stem if path.stem in cameras else fallback, str(path))
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        context.scene.likeness.active_photo = len(context.scene.likeness.photos) - 1
        return {"FINISHED"}


class LIKENESS_OT_photo_remove(bpy.types.Operator):
    """Take the active photo out of the list. The file stays"""

    bl_idname = "likeness.photo_remove"
    bl_label = "Remove Photo"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if len(context.scene.likeness.photos):
            return True
        cls.poll_message_set("The list is empty")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        settings = context.scene.likeness
        index = min(settings.active_photo, len(settings.photos) - 1)
        settings.photos.remove(index)
        settings.active_photo = max(0, min(index, len(settings.photos) - 1))
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_photo_add, LIKENESS_OT_photo_remove)
