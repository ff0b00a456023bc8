# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the scene is supported, shown in the sidebar."""

from __future__ import annotations

import bpy

from ..bridge.check import check
from .run_state import run_state


class LIKENESS_OT_check(bpy.types.Operator):
    """List what of the scene Likeness renders exactly, approximately or not at all"""

    bl_idname = "likeness.check"
    bl_label = "Check Scene"

    def execute(self, context: bpy.types.Context) -> set[str]:
        state = run_state(context)
        state.notes.clear()
        counts: dict[str, int] = {}
        for note in check(context.scene):
            counts[note.severity] = counts.get(note.severity, 0) + 1
            if note.severity == "supported":
                continue
            item = state.notes.add()
            item.severity, item.datablock, item.message = note.severity, note.datablock, note.message
            self.report({"WARNING"}, f"{note.datablock}: {note.message}")
        self.report({"INFO"}, ", ".join(f"{count} {severity}" for severity, count in counts.items()))
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_check,)
