# SPDX-License-Identifier: GPL-3.0-or-later
"""Small things to put into a scene, and libraries to link from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy


def material(name: str) -> bpy.types.Material:
    """A new material with a Principled BSDF."""
    made = bpy.data.materials.new(name)
    if made.node_tree is None:
        made.use_nodes = True
    return made


def cube(name: str, material: bpy.types.Material | None, uv: bool = True) -> bpy.types.Object:
    """A copy of the start-up scene's cube, mesh included, in the open scene."""
    obj = bpy.data.objects["Cube"].copy()
    obj.name = name
    obj.data = obj.data.copy()
    obj.data.materials.clear()
    if material is not None:
        obj.data.materials.append(material)
    if not uv:
        obj.data.uv_layers.remove(obj.data.uv_layers[0])
    bpy.context.scene.collection.objects.link(obj)
    return obj


def library(path: Path) -> Path:
    """A .blend with the collection "Teile" of the object "Würfel", its material "Göld", and a light and a world."""
    bpy.ops.wm.read_factory_settings()
    obj = bpy.data.objects["Cube"]
    obj.name, obj.data.name, obj.active_material.name = "Würfel", "Netz", "Göld"
    parts = bpy.data.collections.new("Teile")
    bpy.context.scene.collection.children.link(parts)
    parts.objects.link(obj)
    bpy.data.lights["Light"].name = "Lämpe"
    bpy.data.worlds["World"].name = "Wält"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    bpy.ops.wm.read_factory_settings()
    return path


def link(path: Path, kind: str, name: str) -> bpy.types.ID:
    """Link one datablock of a library into the open file."""
    with bpy.data.libraries.load(str(path), link=True) as (_, wanted):
        setattr(wanted, kind, [name])
    return getattr(wanted, kind)[0]


@contextmanager
def window() -> Iterator[None]:
    """What operators need to push an undo step, called as ``bpy.ops.x("EXEC_DEFAULT", True)``."""
    first = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=first, screen=first.screen):
        yield
