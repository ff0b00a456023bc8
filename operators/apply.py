# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a finished fit into the scene: one operator, one undo step."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import BoolProperty

from ..bridge import session
from ..bridge.write_result import WriteSummary, write_result
from ..engine.errors import LikenessError
from ..engine.job import load_result
from ..engine.runs import settle
from .run_state import run_state


def say_what_changed(operator: bpy.types.Operator, summary: WriteSummary) -> None:
    """Report what an apply changed and what it had to replace or bypass."""
    for note in summary.notes:
        operator.report({"WARNING"}, f"{note.datablock}: {note.message}")
    changed = [*summary.materials, *summary.lights, *([summary.world] if summary.world else []), *summary.cameras]
    operator.report({"INFO"}, f"Applied to {', '.join(changed) or 'the photo list'}")


class LIKENESS_OT_apply(bpy.types.Operator):
    """Write the result of the last fit into materials, lights, world and cameras"""

    bl_idname = "likeness.apply"
    bl_label = "Apply Result"
    bl_options = {"REGISTER", "UNDO"}

    keep_before: BoolProperty(
        name="Keep Before", description="Keep the state before in the file for Before/After", default=True
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).has_result:
            return True
        cls.poll_message_set("There is no result yet. Run Fit first")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        state = run_state(context)
        try:
            result = load_result(Path(state.folder))
            summary = write_result(session.scene_named(state.scene, state.scene_uid), result, self.keep_before)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        settle(Path(state.folder))
        say_what_changed(self, summary)
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_apply,)
