# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the fit, and its outcome."""

from __future__ import annotations

from typing import Any

import bpy

from .paragraph import paragraph
from .preflight import draw_first_error
from .sidebar import Sidebar


class LIKENESS_PT_fit(Sidebar, bpy.types.Panel):
    """Running the fit, and its outcome"""

    bl_idname = "LIKENESS_PT_fit"
    bl_label = "Fit"

    def draw(self, context: bpy.types.Context) -> None:
        state = context.window_manager.likeness_run
        column = self.layout.column()
        _draw_open_runs(column, context, state)
        if state.running:
            _draw_running(column, state)
        else:
            draw_first_error(column, context)
        row = column.row()
        row.scale_y = 1.0 if state.running else 1.5
        row.operator("likeness.fit", text="Fit Next" if state.running else "Fit", icon="PLAY").resume = False
        for index, item in enumerate(state.queue):
            row = column.row()
            row.label(text=item.text, icon="SORTTIME")
            row.operator("likeness.queue_remove", text="", icon="X").index = index
        if state.running:
            return
        if state.stopped and state.folder:
            row = column.row(align=True)
            row.operator("likeness.fit", text="Go On", icon="FRAME_NEXT").resume = True
            if not state.has_result:
                row.operator("likeness.fit", text="Keep", icon="FILE_TICK").keep = True
            row.operator("likeness.run_discard", text="", icon="TRASH").folder = state.folder
        row = column.row(align=True)
        row.operator("likeness.apply", icon="CHECKMARK")
        row.operator("likeness.report_open", text="Report", icon="URL")
        column.prop(context.scene.likeness, "apply_when_done")


def _draw_running(column: bpy.types.UILayout, state: Any) -> None:
    column.progress(factor=state.factor, text=state.text)
    if state.phase not in ("RUNNING", "CANCELLING"):
        return
    row = column.row(align=True)
    row.enabled = not state.stopping and state.phase == "RUNNING"
    row.operator(
        "likeness.pause", text="Continue" if state.paused else "Pause", icon="PLAY" if state.paused else "PAUSE"
    )
    row.operator("likeness.stop", icon="CHECKMARK")
    column.operator("likeness.cancel", icon="CANCEL")


def _draw_open_runs(column: bpy.types.UILayout, context: bpy.types.Context, state: Any) -> None:
    for item in state.open_runs:
        box = column.box()
        paragraph(box, context, item.text, "RECOVER_LAST")
        row = box.row(align=True)
        if item.can_resume:
            text = "Resume" if item.has_checkpoint else "Start"
            row.operator("likeness.run_resume", text=text, icon="FRAME_NEXT").folder = item.folder
        if item.has_result:
            row.operator("likeness.run_show", text="Show", icon="HIDE_OFF").folder = item.folder
        elif item.has_checkpoint:
            row.operator("likeness.run_keep", text="Keep", icon="FILE_TICK").folder = item.folder
        row.operator("likeness.run_discard", icon="TRASH").folder = item.folder


CLASSES = (LIKENESS_PT_fit,)
