# SPDX-License-Identifier: GPL-3.0-or-later
"""The photos, and the active one in detail."""

from __future__ import annotations

import bpy

from .sidebar import Sidebar


class LIKENESS_PT_photos(Sidebar, bpy.types.Panel):
    """Photos that the render shall look like"""

    bl_idname = "LIKENESS_PT_photos"
    bl_label = "Photos"

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.likeness
        row = self.layout.row()
        row.template_list("LIKENESS_UL_photos", "", settings, "photos", settings, "active_photo", rows=4)
        column = row.column(align=True)
        column.operator("likeness.photo_add", text="", icon="ADD")
        column.operator("likeness.photo_remove", text="", icon="REMOVE")
        if not 0 <= settings.active_photo < len(settings.photos):
            return
        photo = settings.photos[settings.active_photo]
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("camera", "path", "mask_path", "weight", "exposure", "white_balance"):
            column.prop(photo, name)


CLASSES = (LIKENESS_PT_photos,)
