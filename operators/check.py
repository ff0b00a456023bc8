# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the scene is supported, shown in the sidebar."""

from __future__ import annotations

import bpy

from ..bridge import preflight
from ..bridge.check import check
from .preflight import recheck

# What Check Scene says -> how bad that is.
_SEVERITY: dict[str, preflight.Severity] = {"error": "error", "ignored": "warning", "approximated": "info"}


class LIKENESS_OT_check(bpy.types.Operator):
    """List what of the scene Likeness renders exactly, approximately or not at all"""

    bl_idname = "likeness.check"
    bl_label = "Check Scene"

    def execute(self, context: bpy.types.Context) -> set[str]:
        recheck(context)
        counts: dict[str, int] = {}
        for note in check(context.scene):
            counts[note.severity] = counts.get(note.severity, 0) + 1
            if note.severity != "supported":
                preflight.add(preflight.Finding(_SEVERITY[note.severity], note.datablock, note.message))
                self.report({"WARNING"}, f"{note.datablock}: {note.message}")
        self.report({"INFO"}, ", ".join(f"{count} {severity}" for severity, count in counts.items()))
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_check,)
