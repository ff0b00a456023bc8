# SPDX-License-Identifier: GPL-3.0-or-later
"""What the fit may change: for all materials and lights alike, or chosen one by one."""

from __future__ import annotations

from typing import Any

import bpy

from .paragraph import paragraph
from .sidebar import Sidebar

_MATERIAL = ("base_color", "roughness", "metallic", "normal", "emission")
_LIGHT = ("lights",)
_CAMERA = ("camera", "lens", "shift", "distortion")


class LIKENESS_PT_targets(Sidebar, bpy.types.Panel):
    """What the fit may change"""

    bl_idname = "LIKENESS_PT_targets"
    bl_label = "Change"

    def draw(self, context: bpy.types.Context) -> None:
        targets = context.scene.likeness.targets
        column = self.layout.column(align=True)
        column.operator_enum("likeness.preset", "preset")
        self.layout.prop(targets, "one_by_one")
        if targets.one_by_one:
            self._draw_rows(context, targets)
        else:
            self._draw_group("Materials", targets, _MATERIAL, "material")
            self._draw_group("Light", targets, ("lights", "world", "world_strength"), "light")
        self._draw_group("Photos", targets, ("exposure", "white_balance"))
        self._draw_group("Cameras", targets, _CAMERA)

    def _draw_group(self, heading: str, targets: Any, names: tuple[str, ...], only: str = "") -> None:
        column = self.layout.column(align=True)
        column.label(text=heading)
        grid = column.grid_flow(row_major=True, columns=2, even_columns=True, align=True)
        for name in names:
            grid.prop(targets, name)
        if only and getattr(targets, only):  # set by a script; one by one is the way to choose here
            column.prop(targets, only)

    def _draw_rows(self, context: bpy.types.Context, targets: Any) -> None:
        row = self.layout.row(align=True)
        row.label(text=targets.count)
        row.operator_menu_enum("likeness.targets_tick", "kind", text="Tick in All")
        row.operator("likeness.targets_refresh", text="", icon="FILE_REFRESH")
        column = self.layout.column(align=True)
        for item in targets.rows:
            if item.material is not None:
                _draw_row(column, context, item, item.material, "MATERIAL", _MATERIAL)
            elif item.light is not None:
                _draw_row(column, context, item, item.light, "LIGHT", _LIGHT)
        world = context.scene.world
        linked = world is not None and world.library is not None
        column.label(text=world.name if world is not None else "World", icon="WORLD")
        box = column.column(align=True)
        box.enabled = not linked
        box.prop(targets, "world", text="Environment")
        box.prop(targets, "world_strength", text="Strength")
        if linked:
            column.label(text="is linked from another file", icon="LIBRARY_DATA_DIRECT")


def _draw_row(
    column: bpy.types.UILayout,
    context: bpy.types.Context,
    item: Any,
    owner: bpy.types.ID,
    icon: str,
    kinds: tuple[str, ...],
) -> None:
    ticked = [item.bl_rna.properties[kind].name for kind in kinds if getattr(item, kind)]
    row = column.row(align=True)
    row.prop(item, "expanded", text="", icon="TRIA_DOWN" if item.expanded else "TRIA_RIGHT", emboss=False)
    row = row.row()
    row.active = not item.obstacle
    row.label(text=owner.name, icon="LIBRARY_DATA_DIRECT" if owner.library is not None else icon)
    row.label(text=item.obstacle or ", ".join(ticked) or "stays as it is")
    if not item.expanded:
        return
    box = column.box()
    if item.users:
        paragraph(box, context, f"On {item.users}")
    if item.obstacle:
        paragraph(box, context, f"Cannot be fitted: {item.obstacle}")
    if item.fix:
        button = box.operator("likeness.fix", icon="TOOL_SETTINGS")
        button.kind = item.fix
        button.argument = item.fix_argument
    for kind in kinds:
        row = box.row()
        # what is ticked although it cannot be fitted can be unticked
        row.enabled = not item.obstacle or getattr(item, kind)
        row.prop(item, kind)


CLASSES = (LIKENESS_PT_targets,)
