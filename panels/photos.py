# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos, and the active one in detail."""

from __future__ import annotations

from typing import Any

import bpy

from .paragraph import paragraph
from .sidebar import Sidebar


class LIKENESS_PT_photos(Sidebar, bpy.types.Panel):
    """Photos that the render shall look like"""

    bl_idname = "LIKENESS_PT_photos"
    bl_label = "Photos"

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.likeness
        row = self.layout.row()
        row.template_list("LIKENESS_UL_photos", "", settings, "photos", settings, "active_photo", rows=5)
        column = row.column(align=True)
        column.operator("likeness.photo_add", text="", icon="ADD").new_camera = False
        column.operator("likeness.photo_remove", text="", icon="REMOVE")
        column.separator()
        column.menu("LIKENESS_MT_photos", text="", icon="DOWNARROW_HLT")
        column.separator()
        column.operator("likeness.photo_move", text="", icon="TRIA_UP").direction = "UP"
        column.operator("likeness.photo_move", text="", icon="TRIA_DOWN").direction = "DOWN"
        if not len(settings.photos):
            column = self.layout.column(align=True)
            column.label(text="Drop photos onto the 3D View, or")
            row = column.row(align=True)
            row.operator("likeness.photo_add", text="Add Photos", icon="ADD").new_camera = False
            row.operator("likeness.photo_add", text="With New Cameras", icon="CAMERA_DATA").new_camera = True
            column.operator("likeness.photo_from_background", icon="IMAGE_BACKGROUND")
        elif settings.active_photo < len(settings.photos):
            _draw_photo(self.layout, context, settings.photos[settings.active_photo])


def _draw_photo(layout: bpy.types.UILayout, context: bpy.types.Context, photo: Any) -> None:
    """The details of one photo."""
    box = layout.box()
    row = box.row()
    if photo.thumbnail:
        row.template_icon(icon_value=photo.thumbnail, scale=4.0)
    column = row.column(align=True)
    column.label(text=photo.name)
    if photo.problem:
        column.alert = True
        paragraph(column, context, photo.problem)
        column.operator("likeness.photos_relocate", icon="VIEWZOOM")
    else:
        column.label(text=photo.summary)
        column.operator("likeness.photo_show", icon="IMAGE_BACKGROUND").all = False
        column.operator("likeness.camera_from_exif", icon="CAMERA_DATA")
    column = box.column()
    column.use_property_split = True
    column.use_property_decorate = False
    row = column.row()
    row.alert = not photo.in_scene
    row.prop(photo, "camera")
    column.prop(photo, "path")
    column.prop(photo, "mask_source")
    if photo.mask_source in ("AUTO", "FILE"):
        column.prop(photo, "mask_path")
    elif photo.mask_source == "OBJECT":
        column.prop(photo, "mask_object")
    elif photo.mask_source == "ALPHA" and not photo.has_alpha:
        column.label(text="No alpha channel: all of it counts", icon="INFO")
    header, body = box.panel("likeness_photo_tone", default_closed=True)
    header.label(text="Weight and Tone")
    if body is not None:
        column = body.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("weight", "exposure", "white_balance"):
            column.prop(photo, name)


CLASSES = (LIKENESS_PT_photos,)
