# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight check as an artist meets it: looking, reading the list, pressing the button of a finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bpy
import numpy as np

from likeness.bridge.fixes import FIXES
from likeness.operators.preflight import blocked


def ready(folder: Path) -> None:
    """Give the open scene a photo and Cycles."""
    (folder / "photo ä.png").write_bytes(b"")
    photo = bpy.context.scene.likeness.photos.add()
    photo.name, photo.path, photo.camera = "photo ä", str(folder / "photo ä.png"), bpy.context.scene.camera
    bpy.context.scene.render.engine = "CYCLES"


def findings() -> list[Any]:
    """What the sidebar shows after Check Again."""
    bpy.ops.likeness.preflight()
    return list(bpy.context.window_manager.likeness_preflight.findings)


def found(fix: str) -> list[str]:
    """Arguments of all findings that this fix would mend."""
    return [item.argument for item in findings() if item.fix == fix]


def fix(kind: str, severity: str, argument: str | None = None) -> None:
    """Press the button of the one finding of that kind, and see the finding go."""
    matching = [item for item in findings() if item.fix == kind and argument in (None, item.argument)]
    assert [item.severity for item in matching] == [severity]
    name = matching[0].argument
    assert matching[0].button == FIXES[kind].label
    assert bool(blocked(bpy.context)) == (severity == "error")
    assert bpy.ops.likeness.fix(kind=kind, argument=name) == {"FINISHED"}
    # the list is up to date without Check Again, and says the same after it
    assert name not in [item.argument for item in stored() if item.fix == kind]
    assert name not in found(kind)


def stored() -> list[Any]:
    return list(bpy.context.window_manager.likeness_preflight.findings)


def link_surface(shown: bpy.types.Material, kind: str) -> bpy.types.Node:
    """Let a material show another shader."""
    tree = shown.node_tree
    node = tree.nodes.new(kind)
    tree.links.new(node.outputs[0], tree.get_output_node("CYCLES").inputs["Surface"])
    return node


def uv_area(obj: bpy.types.Object) -> np.ndarray:
    """Area of each face in the UV map that is rendered, by the shoelace formula."""
    layer = next(layer for layer in obj.data.uv_layers if layer.active_render)
    areas = []
    for polygon in obj.data.polygons:
        x, y = np.array([layer.uv[index].vector for index in polygon.loop_indices]).T
        areas.append(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
    return np.array(areas)
