# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo list: adding photos by dialog, by drag and drop and from backgrounds, order, copies, taking them out."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, StringProperty

from ..bridge import photo_camera, photo_edit, session
from ..engine.errors import LikenessError
from ..engine.photo_info import SUFFIXES
from . import preflight


class PhotoOperator:
    """An operator of the photo list that needs a photo in it."""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if len(context.scene.likeness.photos):
            return True
        cls.poll_message_set("The list is empty. Add a photo first")  # type: ignore[attr-defined]
        return False


def active_index(context: bpy.types.Context) -> int:
    """Which photo is shown below the list; the list is not empty."""
    settings = context.scene.likeness
    return min(settings.active_photo, len(settings.photos) - 1)


class LIKENESS_OT_photo_add(bpy.types.Operator):
    """Add photos to the list. A photo that is named like a camera belongs to it, the others to the chosen camera"""

    bl_idname = "likeness.photo_add"
    bl_label = "Add Photos"
    bl_options = {"REGISTER", "UNDO"}

    filepath: StringProperty(
        name="File", description="Photo to add", subtype="FILE_PATH", options={"HIDDEN", "SKIP_SAVE"}
    )
    directory: StringProperty(
        name="Folder", description="Folder of the photos", subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"}
    )
    files: CollectionProperty(
        name="Files",
        description="Names of several photos in the folder",
        type=bpy.types.OperatorFileListElement,
        options={"HIDDEN", "SKIP_SAVE"},
    )
    camera: StringProperty(
        name="Camera",
        description="Camera that took the photos. Empty: the camera that renders",
        options={"SKIP_SAVE"},
    )
    new_camera: BoolProperty(
        name="New Cameras",
        description="Make a camera for each photo that no camera is named after, where the 3D View looks from, with "
        "the photo's lens and sensor where its EXIF data name them",
        options={"SKIP_SAVE"},
    )
    filter_glob: StringProperty(default=";".join(f"*{suffix}" for suffix in SUFFIXES), options={"HIDDEN", "SKIP_SAVE"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        active = context.active_object
        if not self.camera and active is not None and active.type == "CAMERA":
            self.camera = active.name
        if not session.camera_names(context.scene):
            self.new_camera = True
        if self.filepath or self.files:  # dropped onto the 3D View
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.prop(self, "new_camera")
        row = column.row()
        row.enabled = not self.new_camera
        row.prop_search(self, "camera", context.scene, "objects", icon="CAMERA_DATA")

    def execute(self, context: bpy.types.Context) -> set[str]:
        named = [str(Path(self.directory, item.name)) for item in self.files if item.name]
        paths = named or ([self.filepath] if self.filepath else [])
        try:
            place = photo_camera.view_place(context)
            items = photo_edit.add_photos(context.scene, paths, self.camera, self.new_camera, place)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for item in items:
            if item.problem:
                self.report({"WARNING"}, f'Photo "{item.name}": {item.problem}')
        preflight.recheck(context)
        self.report({"INFO"}, f"{len(items)} photo{'s' if len(items) > 1 else ''} added")
        return {"FINISHED"}


class LIKENESS_FH_photos(bpy.types.FileHandler):
    """Photos that are dropped onto the 3D View"""

    bl_idname = "LIKENESS_FH_photos"
    bl_label = "Add to Likeness' Photos"
    bl_import_operator = "likeness.photo_add"
    bl_file_extensions = ";".join(SUFFIXES)

    @classmethod
    def poll_drop(cls, context: bpy.types.Context) -> bool:
        return context.area is not None and context.area.type == "VIEW_3D"


class LIKENESS_OT_photo_from_background(bpy.types.Operator):
    """Add the background images of the scene's cameras to the list. Hidden ones are left out"""

    bl_idname = "likeness.photo_from_background"
    bl_label = "Add from Camera Backgrounds"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if session.camera_names(context.scene):
            return True
        cls.poll_message_set("The scene has no camera, so there is no background image")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            items, left_out = photo_edit.photos_from_backgrounds(context.scene)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for what in left_out:
            self.report({"WARNING"}, f"Left out: {what}")
        preflight.recheck(context)
        self.report({"INFO"}, f"{len(items)} background images are in the list")
        return {"FINISHED"}


class LIKENESS_OT_photo_remove(PhotoOperator, bpy.types.Operator):
    """Take the active photo out of the list. The file stays"""

    bl_idname = "likeness.photo_remove"
    bl_label = "Remove Photo"

    def execute(self, context: bpy.types.Context) -> set[str]:
        photo_edit.remove_photos(context.scene, [active_index(context)])
        preflight.recheck(context)
        return {"FINISHED"}


class LIKENESS_OT_photo_move(PhotoOperator, bpy.types.Operator):
    """Move the active photo up or down in the list"""

    bl_idname = "likeness.photo_move"
    bl_label = "Move Photo"

    direction: EnumProperty(
        name="Direction",
        description="Where to",
        items=(("UP", "Up", "One place up"), ("DOWN", "Down", "One place down")),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        photo_edit.move_photo(context.scene, active_index(context), -1 if self.direction == "UP" else 1)
        return {"FINISHED"}


class LIKENESS_OT_photo_duplicate(PhotoOperator, bpy.types.Operator):
    """Copy the active photo's entry, to use the same file with another camera, mask or weight"""

    bl_idname = "likeness.photo_duplicate"
    bl_label = "Duplicate Entry"

    def execute(self, context: bpy.types.Context) -> set[str]:
        photo_edit.duplicate_photo(context.scene, active_index(context))
        return {"FINISHED"}


class LIKENESS_OT_photos_enable(PhotoOperator, bpy.types.Operator):
    """Use all photos of the list in the fit, or none"""

    bl_idname = "likeness.photos_enable"
    bl_label = "Use All Photos"

    enable: BoolProperty(name="Use", description="On: all photos are used. Off: none", default=True)

    def execute(self, context: bpy.types.Context) -> set[str]:
        for photo in context.scene.likeness.photos:
            photo.enabled = self.enable
        preflight.recheck(context)
        return {"FINISHED"}


CLASSES = (
    LIKENESS_OT_photo_add,
    LIKENESS_FH_photos,
    LIKENESS_OT_photo_from_background,
    LIKENESS_OT_photo_remove,
    LIKENESS_OT_photo_move,
    LIKENESS_OT_photo_duplicate,
    LIKENESS_OT_photos_enable,
)
