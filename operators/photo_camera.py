# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos and their cameras: the photo as the camera's background, the camera's lens from the photo's EXIF data."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty

from ..bridge import photo_camera
from ..engine.errors import LikenessError
from .photos import PhotoOperator, active_index


class LIKENESS_OT_photo_show(PhotoOperator, bpy.types.Operator):
    """Show the active photo behind the scene: make it its camera's background image and look through that camera"""

    bl_idname = "likeness.photo_show"
    bl_label = "Show in Camera"

    all: BoolProperty(
        name="All Photos",
        description="Make every photo the background of its camera, and look through that of the active one",
        options={"SKIP_SAVE"},
    )
    set_resolution: BoolProperty(
        name="Set Render Size",
        description="Give renders the photo's width and height. Otherwise the camera's frame has another shape than "
        "the photo, which lines up all the same",
        default=True,
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        active = active_index(context)
        indices = list(range(len(context.scene.likeness.photos))) if self.all else [active]
        try:
            shown = photo_camera.show_photos(context.scene, indices, active, self.set_resolution)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        photo_camera.look_through_camera(context)
        for note in shown.notes:
            self.report({"WARNING"}, note)
        size = f". Renders are now {shown.resolution[0]} x {shown.resolution[1]}" if shown.resolution else ""
        self.report({"INFO"}, f"Shown in {', '.join(shown.cameras)}{size}")
        return {"FINISHED"}


class LIKENESS_OT_camera_from_exif(PhotoOperator, bpy.types.Operator):
    """Set lens and sensor of the active photo's camera from what the photo's file says (EXIF)"""

    bl_idname = "likeness.camera_from_exif"
    bl_label = "Set Lens from Photo"

    def execute(self, context: bpy.types.Context) -> set[str]:
        item = context.scene.likeness.photos[active_index(context)]
        try:
            done = photo_camera.set_lens_from_exif(context.scene, item)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, done)
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_photo_show, LIKENESS_OT_camera_from_exif)
