# SPDX-License-Identifier: GPL-3.0-or-later
"""Smart UV Project for one object, from any mode and without a window.

Blender's operator works on what is in Edit Mode. So it runs on a copy of the mesh in a scene of its own, and its UV map
is brought back: selection, modes and visibility of the artist's scene are never touched.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import bpy
import numpy as np

from ..engine.errors import SceneError
from .notes import label

_ANGLE = math.radians(66.0)  # Blender's own default
_ISLAND_MARGIN = 0.01  # of the map: room for the bleeding of textures


def unwrap(obj: bpy.types.Object) -> None:
    """Give a mesh a UV map named "UVMap", active for rendering. Raises :class:`SceneError` where that cannot be."""
    if obj.type != "MESH":
        raise SceneError(f"{label(obj)} is no mesh and cannot be unwrapped. Convert it (Object > Convert > Mesh)")
    mesh = obj.data
    if mesh.library is not None:
        raise SceneError(f"{label(mesh)} of {label(obj)} is linked from another file. Make it local to unwrap it")
    with _out_of_edit_mode(mesh):
        if not mesh.polygons:
            raise SceneError(f"{label(mesh)} of {label(obj)} has no faces of its own to unwrap. Apply its modifiers")
        coordinates = _projected(mesh)
        layer = mesh.uv_layers.new(name="UVMap", do_init=False)
        if layer is None:
            raise SceneError(f"{label(mesh)} has as many UV maps as a mesh can have. Remove one")
        layer.uv.foreach_set("vector", coordinates)
        layer.active = layer.active_render = True
        mesh.update()


@contextmanager
def _out_of_edit_mode(mesh: bpy.types.Mesh) -> Iterator[None]:
    """Leave Edit Mode where the mesh is being edited and come back to it."""
    view_layer = bpy.context.view_layer
    edited = mesh.is_editmode
    active = view_layer.objects.active if view_layer is not None else None
    if edited and (active is None or active.mode != "EDIT"):
        raise SceneError(f"{label(mesh)} is in Edit Mode in another scene. Leave it there first")
    if edited:
        bpy.ops.object.mode_set(mode="OBJECT")
    try:
        yield
    finally:
        if edited:
            bpy.ops.object.mode_set(mode="EDIT")


def _projected(mesh: bpy.types.Mesh) -> np.ndarray:
    """UV coordinates [2 · corners] of a copy of the mesh after Smart UV Project."""
    copy = mesh.copy()
    scene = bpy.data.scenes.new("Likeness Unwrap")
    obj = bpy.data.objects.new("Likeness Unwrap", copy)
    try:
        scene.collection.objects.link(obj)
        layer = scene.view_layers[0]
        layer.objects.active = obj
        obj.select_set(True, view_layer=layer)
        if copy.shape_keys is not None:
            obj.shape_key_clear()
        for polygon_hidden in (".hide_poly", ".hide_vert", ".hide_edge"):
            attribute = copy.attributes.get(polygon_hidden)
            if attribute is not None:
                copy.attributes.remove(attribute)
        with bpy.context.temp_override(
            scene=scene, view_layer=layer, object=obj, active_object=obj, selected_objects=[obj]
        ):
            bpy.ops.object.mode_set(mode="EDIT")
            with bpy.context.temp_override(edit_object=obj):
                bpy.ops.mesh.select_all(action="SELECT")
                bpy.ops.uv.smart_project(angle_limit=_ANGLE, island_margin=_ISLAND_MARGIN)
            bpy.ops.object.mode_set(mode="OBJECT")
        layer_of_copy = copy.uv_layers.active
        coordinates = np.empty(2 * len(copy.loops), np.float32)
        layer_of_copy.uv.foreach_get("vector", coordinates)
        return coordinates
    finally:
        bpy.data.scenes.remove(scene)
        bpy.data.objects.remove(obj)
        bpy.data.meshes.remove(copy)
