# SPDX-License-Identifier: GPL-3.0-or-later
"""Who shows what: a look at a scene's objects without evaluating it, for lists and checks that must come at once.

What only evaluation can tell is not seen: materials that geometry nodes set, objects that they instance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import bpy
import numpy as np

_SURFACES = {"MESH", "CURVE", "SURFACE", "FONT", "META"}


@dataclass
class Survey:
    """What a render of the scene shows, each thing with the objects that bring it in."""

    surfaces: list[bpy.types.Object] = field(default_factory=list)
    # None: a part of the object has no material
    materials: dict[bpy.types.Material | None, list[bpy.types.Object]] = field(default_factory=dict)
    lights: dict[bpy.types.Light, list[bpy.types.Object]] = field(default_factory=dict)


def survey(scene: bpy.types.Scene) -> Survey:
    """Look at what the scene's first view layer renders, instanced collections included. Changes nothing."""
    found = Survey()
    for obj in rendered_objects(scene):
        if obj.type == "LIGHT":
            found.lights.setdefault(obj.data, []).append(obj)
        elif obj.type in _SURFACES and has_faces(obj):
            found.surfaces.append(obj)
            for material in shown_materials(obj):
                found.materials.setdefault(material, []).append(obj)
    return found


def rendered_objects(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    """Objects of the first view layer that renders show, and those of instanced collections; each once."""
    found: dict[bpy.types.Object, None] = {}
    layer = scene.view_layers[0].layer_collection
    # 5.2: a scene that no window has shown has no layers yet
    for obj in _layer_objects(layer) if layer is not None else _collection_objects(scene.collection):
        _take(obj, found)
    return list(found)


def _take(obj: bpy.types.Object, found: dict[bpy.types.Object, None]) -> None:
    if obj in found or obj.hide_render:
        return
    found[obj] = None
    if obj.instance_type == "COLLECTION" and obj.instance_collection is not None:
        for inner in _collection_objects(obj.instance_collection):
            _take(inner, found)


def _layer_objects(layer: bpy.types.LayerCollection) -> Iterator[bpy.types.Object]:
    if layer.collection.hide_render:
        return
    if not layer.exclude:
        yield from layer.collection.objects
    for child in layer.children:
        yield from _layer_objects(child)


def _collection_objects(collection: bpy.types.Collection) -> Iterator[bpy.types.Object]:
    if collection.hide_render:
        return
    yield from collection.objects
    for child in collection.children:
        yield from _collection_objects(child)


def has_faces(obj: bpy.types.Object) -> bool:
    """Whether an object may show a surface; what a modifier makes is not known without evaluation."""
    return obj.type != "MESH" or bool(obj.data.polygons) or bool(obj.modifiers) or obj.mode == "EDIT"


def shown_materials(obj: bpy.types.Object) -> list[bpy.types.Material | None]:
    """Materials of the slots that faces use, each once; None for faces without one."""
    slots = [slot.material for slot in obj.material_slots]
    if len(slots) < 2:
        return slots or [None]
    return list(dict.fromkeys(slots[index] for index in used_slots(obj)))


def used_slots(obj: bpy.types.Object) -> list[int]:
    """Indices of the slots that faces use; all where a modifier or Edit Mode may change that."""
    count = len(obj.material_slots)
    if obj.type != "MESH" or obj.modifiers or obj.mode == "EDIT":
        return list(range(count))
    stored = obj.data.attributes.get("material_index")
    if stored is None or stored.data_type != "INT" or stored.domain != "FACE":
        return [0]
    indices = np.empty(len(stored.data), np.int32)
    stored.data.foreach_get("value", indices)
    # Cycles gives faces of a slot that does not exist the last one
    return [int(index) for index in np.flatnonzero(np.bincount(indices.clip(0, count - 1), minlength=count))]


def lacks_uv(obj: bpy.types.Object) -> bool:
    """Whether a mesh has no UV map and no modifier that may make one."""
    return obj.type == "MESH" and not obj.data.uv_layers and not any(mod.type == "NODES" for mod in obj.modifiers)
