# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in the way of the fit, with a button for what can be mended."""

from __future__ import annotations

from typing import Any

import bpy

from .paragraph import paragraph
from .sidebar import Sidebar

_ICONS = {"error": "ERROR", "warning": "QUESTION", "info": "INFO"}
_MOST = 20  # findings at once


class LIKENESS_PT_preflight(Sidebar, bpy.types.Panel):
    """What stands in the way of the fit"""

    bl_idname = "LIKENESS_PT_preflight"
    bl_label = "Pre-flight Check"

    def draw(self, context: bpy.types.Context) -> None:
        state = context.window_manager.likeness_preflight
        row = self.layout.row(align=True)
        row.operator("likeness.preflight", icon="FILE_REFRESH")
        row.operator("likeness.check", text="In Detail", icon="VIEWZOOM")
        if state.scene != context.scene.name:
            self.layout.label(text="This scene has not been checked yet")
            return
        hints = [item for item in state.findings if item.severity == "info"]
        shown = [item for item in state.findings if item.severity != "info" or state.show_info]
        if len(hints) == len(state.findings):
            self.layout.label(text="Nothing stands in the way", icon="CHECKMARK")
        for finding in shown[:_MOST]:
            draw_finding(self.layout.box(), context, finding)
        if len(shown) > _MOST:
            self.layout.label(text=f"… and {len(shown) - _MOST} more")
        if hints:
            self.layout.prop(state, "show_info", text=f"Show {len(hints)} Hints", toggle=True)


def draw_first_error(column: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """The worst finding, for whoever looks at the Fit button; nothing where nothing keeps the fit from starting."""
    state = context.window_manager.likeness_preflight
    if state.has_errors and state.scene == context.scene.name:
        draw_finding(column.box(), context, state.findings[0])


def draw_finding(box: bpy.types.UILayout, context: bpy.types.Context, finding: Any) -> None:
    """What was found, and the button that mends it."""
    box.label(text=finding.datablock, icon=_ICONS[finding.severity])
    paragraph(box, context, finding.message)
    if finding.fix:
        button = box.operator("likeness.fix", text=finding.button, icon="TOOL_SETTINGS")
        button.kind = finding.fix
        button.argument = finding.argument
    if finding.operator:
        box.operator(finding.operator)


CLASSES = (LIKENESS_PT_preflight,)
