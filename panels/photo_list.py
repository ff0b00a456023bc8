# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of photos, and the menu beside it."""

from __future__ import annotations

from typing import Any

import bpy

_MASK_ICONS = {"NONE": "BLANK1", "FILE": "IMAGE_ALPHA", "ALPHA": "IMAGE_RGB_ALPHA", "OBJECT": "OBJECT_DATA"}


class LIKENESS_UL_photos(bpy.types.UIList):
    """Photos with their cameras."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flag: int = 0,
    ) -> None:
        row = layout.row(align=True)
        row.prop(item, "enabled", text="")
        row = row.row(align=True)
        row.active = item.enabled
        if item.thumbnail:
            row.label(text="", icon_value=item.thumbnail)
        else:
            row.label(text="", icon="ERROR" if item.problem else "IMAGE_DATA")
        row.prop(item, "name", text="", emboss=False)
        column = row.row(align=True)
        column.alert = not item.in_scene
        column.label(
            text=item.camera.name if item.camera else "no camera", icon="CAMERA_DATA" if item.in_scene else "ERROR"
        )
        automatic = "IMAGE_ALPHA" if item.mask_path else "BLANK1"
        row.label(text="", icon=_MASK_ICONS.get(item.mask_source, automatic))


class LIKENESS_MT_photos(bpy.types.Menu):
    """More that can be done with the photos"""

    bl_idname = "LIKENESS_MT_photos"
    bl_label = "Photos"

    def draw(self, _context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.operator("likeness.photo_from_background", icon="CAMERA_DATA")
        column.operator("likeness.photo_duplicate", icon="DUPLICATE")
        column.separator()
        column.operator("likeness.photo_show", text="Show All in Their Cameras", icon="IMAGE_BACKGROUND").all = True
        column.separator()
        column.operator("likeness.photos_enable", text="Use All", icon="CHECKBOX_HLT").enable = True
        column.operator("likeness.photos_enable", text="Use None", icon="CHECKBOX_DEHLT").enable = False
        column.separator()
        column.operator("likeness.photos_relocate", icon="VIEWZOOM")
        column.operator("likeness.photos_remove_missing", icon="TRASH")


CLASSES = (LIKENESS_UL_photos, LIKENESS_MT_photos)
