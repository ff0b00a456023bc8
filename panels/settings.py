# SPDX-License-Identifier: GPL-3.0-or-later
"""How the fit is done."""

from __future__ import annotations

import bpy

from .sidebar import Sidebar


class LIKENESS_PT_settings(Sidebar, bpy.types.Panel):
    """How the fit is done"""

    bl_idname = "LIKENESS_PT_settings"
    bl_label = "Settings"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        column = self.layout.column()
        column.use_property_split = True
        column.use_property_decorate = False
        for name in ("iterations", "resolution", "texture_size", "use_cycles", "device", "seed", "report_dir"):
            column.prop(context.scene.likeness, name)


CLASSES = (LIKENESS_PT_settings,)
