# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing what may change: presets, and the rows of those who choose one by one."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, EnumProperty

from ..bridge import presets, target_rows
from ..engine.result import MATERIAL_TARGETS
from .preflight import recheck


class LIKENESS_OT_preset(bpy.types.Operator):
    """Choose what may change, and settings that suit it"""

    bl_idname = "likeness.preset"
    bl_label = "Preset"
    bl_options = {"REGISTER", "UNDO"}

    preset: EnumProperty(
        name="Preset",
        description="What the fit is for",
        items=[(name, preset.name, preset.sentence) for name, preset in presets.PRESETS.items()],
    )

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return presets.PRESETS[properties.preset].sentence

    def execute(self, context: bpy.types.Context) -> set[str]:
        sentence = presets.apply_preset(context.scene, self.preset)
        recheck(context)
        self.report({"INFO"}, sentence)
        return {"FINISHED"}


class LIKENESS_OT_targets_refresh(bpy.types.Operator):
    """Let the list be what the scene renders now. Ticks stay with their materials and lights"""

    bl_idname = "likeness.targets_refresh"
    bl_label = "Refresh"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        target_rows.refresh(context.scene)
        recheck(context)
        return {"FINISHED"}


class LIKENESS_OT_targets_tick(bpy.types.Operator):
    """Tick or untick one kind in all rows that can be fitted"""

    bl_idname = "likeness.targets_tick"
    bl_label = "Tick All"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(
        name="Kind",
        description="What to tick in all rows",
        items=[
            (kind, kind.replace("_", " ").title(), f"Tick or untick {kind.replace('_', ' ')} in all rows")
            for kind in (*MATERIAL_TARGETS, *target_rows.LIGHT_KINDS)
        ],
    )
    tick: BoolProperty(name="Tick", description="Tick. Off: untick", default=True)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if len(context.scene.likeness.targets.rows):
            return True
        cls.poll_message_set("There are no rows. Turn on Choose One by One")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        changed = target_rows.tick_all(context.scene, self.kind, self.tick)
        recheck(context)
        self.report({"INFO"}, f"{changed} changed")
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_preset, LIKENESS_OT_targets_refresh, LIKENESS_OT_targets_tick)
