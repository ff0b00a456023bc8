# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the fit, and its outcome."""

from __future__ import annotations

import bpy

from .sidebar import Sidebar


class LIKENESS_PT_fit(Sidebar, bpy.types.Panel):
    """Running the fit, and its outcome"""

    bl_idname = "LIKENESS_PT_fit"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        state = context.window_manager.likeness_run
        column = self.layout.column()
        if state.running:
            column.progress(factor=state.factor, text=state.text)
            column.operator("likeness.cancel", icon="CANCEL")
            return
        row = column.row()
        row.scale_y = 1.5
        row.operator("likeness.fit", icon="PLAY").resume = False
        if state.stopped:
            column.operator("likeness.fit", text="Go On", icon="FRAME_NEXT").resume = True
        row = column.row(align=True)
        row.operator("likeness.apply", icon="CHECKMARK")
        row.operator("likeness.report_open", text="Report", icon="URL")


CLASSES = (LIKENESS_PT_fit,)
