# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fit may change."""

from __future__ import annotations

import bpy

from .sidebar import Sidebar


class LIKENESS_PT_targets(Sidebar, bpy.types.Panel):
    """What the fit may change"""

    bl_idname = "LIKENESS_PT_targets"
    bl_label = "Change"

    def draw(self, context: bpy.types.Context) -> None:
        targets = context.scene.likeness.targets
        column = self.layout.column(heading="Materials")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("base_color", "roughness", "metallic", "normal", "emission"):
            column.prop(targets, name)
        column.prop(targets, "material")
        column = self.layout.column(heading="Light")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("lights", "light", "world", "world_strength"):
            column.prop(targets, name)
        column = self.layout.column(heading="Photos")
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("exposure", "white_balance"):
            column.prop(targets, name)


CLASSES = (LIKENESS_PT_targets,)
