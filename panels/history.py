# SPDX-License-Identifier: GPL-3.0-or-later
"""Before/After, and the list of earlier runs."""

from __future__ import annotations

from typing import Any

import bpy

from .sidebar import Sidebar


class LIKENESS_UL_runs(bpy.types.UIList):
    """Finished runs with their scores; those whose files are gone are grey."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flag: int = 0,
    ) -> None:
        row = layout.row(align=True)
        row.active = item.available
        row.alert = item.is_worse
        icon = "ERROR" if item.is_worse else "RENDER_RESULT" if item.available else "UNLINKED"
        row.prop(item, "name", text="", emboss=False, icon=icon)
        row.label(text=_score(item))


class LIKENESS_PT_before_after(Sidebar, bpy.types.Panel):
    """The scene before and after the last apply"""

    bl_idname = "LIKENESS_PT_before_after"
    bl_label = "Before/After"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.likeness.snapshot.showing != "NONE"

    def draw(self, context: bpy.types.Context) -> None:
        before = context.scene.likeness.snapshot.showing == "BEFORE"
        row = self.layout.row(align=True)
        text = "Showing Before" if before else "Showing After"
        row.operator("likeness.before_after", text=text, icon="LOOP_BACK" if before else "CHECKMARK", depress=before)
        row.operator("likeness.before_after_clear", text="", icon="TRASH")


class LIKENESS_PT_history(Sidebar, bpy.types.Panel):
    """Earlier runs of this scene"""

    bl_idname = "LIKENESS_PT_history"
    bl_label = "History"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        settings = context.scene.likeness
        row = self.layout.row()
        row.template_list("LIKENESS_UL_runs", "", settings, "runs", settings, "active_run", rows=3)
        column = row.column(align=True)
        column.operator("likeness.job_apply", text="", icon="IMPORT")
        column.operator("likeness.job_save", text="", icon="EXPORT")
        column.separator()
        column.operator("likeness.history_remove", text="", icon="REMOVE")
        if not 0 <= settings.active_run < len(settings.runs):
            return
        run = settings.runs[settings.active_run]
        column = self.layout.column()
        row = column.row(align=True)
        row.operator("likeness.history_settings", icon="FILE_REFRESH")
        row = row.row(align=True)
        row.enabled = run.available
        row.operator("likeness.history_apply", icon="CHECKMARK")
        column.prop(run, "note", text="", icon="GREASEPENCIL")
        column = self.layout.column(align=True)
        if not run.available:
            column.label(text="Its job folder is gone: settings only", icon="UNLINKED")
        if run.is_worse:
            column.label(text="Less like the photos than before", icon="ERROR")
        column.label(text=f"{run.date}, {_duration(run.seconds)}{', stopped' if run.stopped else ''}")
        column.label(text=run.targets.replace("\n", ", "))
        checked = ", checked with Cycles" if run.use_cycles else ""
        column.label(text=f"{run.steps} steps at {run.resolution} px, textures {run.texture_size} px{checked}")


CLASSES = (LIKENESS_UL_runs, LIKENESS_PT_before_after, LIKENESS_PT_history)


def _score(run: Any) -> str:
    return f"{run.psnr_before:.1f} → {run.psnr_after:.1f} dB" if run.photos else ""


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
