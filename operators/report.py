# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking at the report of the last fit."""

from __future__ import annotations

from pathlib import Path

import bpy

from .run_state import run_state


class LIKENESS_OT_report_open(bpy.types.Operator):
    """Open the report of the last fit in the web browser: photos before and after, curves, warnings"""

    bl_idname = "likeness.report_open"
    bl_label = "Open Report"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).report:
            return True
        cls.poll_message_set("There is no report yet. Run Fit first")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        page = Path(run_state(context).report)
        if not page.is_file():
            self.report({"ERROR"}, f'The report "{page}" is gone. Run Fit again')
            return {"CANCELLED"}
        if not bpy.app.background:
            bpy.ops.wm.url_open(url=page.as_uri())
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_report_open,)
