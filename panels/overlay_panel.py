# SPDX-License-Identifier: GPL-3.0-or-later
"""How photo and fit are drawn over the 3D View."""

from __future__ import annotations

import bpy

from .sidebar import Sidebar


class LIKENESS_PT_overlay(Sidebar, bpy.types.Panel):
    """Photo and fit, drawn over the view through the photo's camera"""

    bl_idname = "LIKENESS_PT_overlay"
    bl_label = "Overlay"
    bl_parent_id = "LIKENESS_PT_fit"

    def draw_header(self, context: bpy.types.Context) -> None:
        self.layout.prop(context.window_manager.likeness_overlay, "show", text="")

    def draw(self, context: bpy.types.Context) -> None:
        overlay = context.window_manager.likeness_overlay
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        column.active = overlay.show
        column.prop(overlay, "mode")
        column.prop(overlay, "opacity")
        if overlay.mode == "WIPE":
            column.prop(overlay, "wipe")
        if overlay.mode == "DIFFERENCE":
            column.prop(overlay, "gain")
        column.prop(overlay, "inset")
        self.layout.prop(overlay, "curve")


CLASSES = (LIKENESS_PT_overlay,)
