# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixes for whose data something is: linked from another file, or shared by several objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import bpy

from ..engine.errors import SceneError
from . import target_rows
from .notes import label
from .survey import Survey, survey


def find(collection: Iterable[Any], what: str, name: str) -> Any:
    """The datablock of that full name. Raises :class:`SceneError` where it is gone."""
    found = next((datablock for datablock in collection if datablock.name_full == name), None)
    if found is None:
        raise SceneError(f'There is no {what} "{name}" any more. Check again')
    return found


def find_object(name: str) -> bpy.types.Object:
    """The object of that full name. Raises :class:`SceneError` where it is gone."""
    return find(bpy.data.objects, "object", name)


def refuse_linked(datablocks: Iterable[bpy.types.ID]) -> None:
    """Raise :class:`SceneError` for the first datablock that belongs to another file."""
    for datablock in datablocks:
        if datablock.library is not None:
            raise SceneError(
                f"{label(datablock)} is linked from another file and stays as it is. "
                "Make it local first (Object > Relations > Make Local)"
            )


def make_local(datablock: Any) -> Any:
    """Make a datablock part of this file; returns what is local now. Raises :class:`SceneError`."""
    if datablock.library is None:
        return datablock
    local = datablock.make_local()
    if local is None or local.library is not None:
        raise SceneError(f"{label(datablock)} cannot be made local. Open the file that it comes from")
    return local


def make_light_local(scene: bpy.types.Scene, name: str) -> str:
    """Make a light and the objects that carry it part of this file."""
    light = find(bpy.data.lights, "light", name)
    objects = survey(scene).lights.get(light, [])
    if any(obj.library is not None for obj in objects):
        objects = localise_objects(scene, objects)
    local = make_local(light)
    _refuse_unless_used(local, [obj.data for obj in objects])
    return f'Light "{local.name}" is part of this file now'


def make_world_local(scene: bpy.types.Scene, name: str) -> str:
    """Make the scene's world part of this file."""
    refuse_linked([scene])
    local = make_local(find(bpy.data.worlds, "world", name))
    if scene.world != local and scene.world is not None and scene.world.name_full == name:
        scene.world = local
    return f'World "{local.name}" is part of this file now'


def localise_objects(scene: bpy.types.Scene, objects: list[bpy.types.Object]) -> list[bpy.types.Object]:
    """Make objects local that were linked one by one. Raises :class:`SceneError`, with nothing changed, for an object
    that is only here as a part of a linked collection."""
    own = scene.objects.values()
    for obj in objects:
        if obj.library is not None and (
            obj not in own or all(holder.library is not None for holder in obj.users_collection)
        ):
            raise SceneError(
                f"{label(obj)} is part of a collection that is linked from another file and cannot be changed here. "
                "Open that file, or make the collection local (Object > Relations > Make Instances Real)"
            )
    return [make_local(obj) for obj in objects]


def make_single_user(scene: bpy.types.Scene, name: str) -> str:
    """Give every object but the first a copy of a mesh and of the materials on it."""
    mesh = find([*bpy.data.meshes, *bpy.data.curves], "mesh", name)
    found = survey(scene)
    objects = [obj for obj in found.surfaces if obj.data == mesh]
    if len(objects) < 2:
        raise SceneError(f"{label(mesh)} is not shared any more. Check again")
    refuse_linked([mesh, *objects])
    _refuse_edited(objects)
    for obj in objects[1:]:
        obj.data = mesh.copy()
        for slot in obj.material_slots:
            if slot.material is not None and _is_shared(slot.material, found):
                slot.material = copied(scene, slot.material)
    return f"Each of {len(objects)} objects has its own mesh and material now"


def copied(scene: bpy.types.Scene, material: bpy.types.Material) -> bpy.types.Material:
    """A local copy of a material with the ticks of the original."""
    copy = material.copy()
    target_rows.take_over(scene, material, copy)
    return copy


def _is_shared(material: bpy.types.Material, found: Survey) -> bool:
    return len(found.materials.get(material, [])) > 1


def _refuse_edited(objects: list[bpy.types.Object]) -> None:
    for obj in objects:
        if obj.mode == "EDIT":
            raise SceneError(f"{label(obj)} is in Edit Mode. Leave it first")


def _refuse_unless_used(local: bpy.types.ID, used: list[bpy.types.ID]) -> None:
    if used and local not in used:
        raise SceneError(f"{label(local)} was made local, but the scene still shows the linked one. Open its file")
