# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of "Choose One by One": one for each material and light that the scene renders, with its ticks.

Rows point to datablocks, so they survive renaming, saving and undo, and become empty when the datablock is deleted.
They are brought up to date when something asks for it (:func:`refresh`), never while the sidebar is drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy

from ..engine.result import MATERIAL_TARGETS
from . import versions
from .notes import label
from .survey import Survey, lacks_uv, survey
from .write_material import own_principled

LIGHT_KINDS = ("lights",)
_SCENE_KINDS = ("world", "world_strength", "exposure", "white_balance")
_NAMED_USERS = 3

# Held while rows are written here: then no tick is the artist's, and one look at the scene afterwards is enough.
_writing = [False]


@dataclass(frozen=True)
class Obstacle:
    """Why a material or light cannot be fitted, in a few words, and the fix (see :mod:`bridge.fixes`), if any."""

    reason: str
    fix: str = ""
    argument: str = ""


NONE = Obstacle("")


def material_obstacle(material: bpy.types.Material, objects: list[bpy.types.Object]) -> Obstacle:
    """What keeps a material, shown by these objects, from being fitted."""
    name = material.name_full
    if material.library is not None:
        return Obstacle("is linked from another file", "LOCAL_MATERIAL", name)
    if own_principled(material) is None:
        why = "has no Principled BSDF of its own" if versions.uses_nodes(material) else "does not use nodes"
        return Obstacle(why, "PRINCIPLED", name)
    bare = next((obj for obj in objects if lacks_uv(obj)), None)
    if bare is not None:
        return Obstacle(f"{label(bare)} has no UV map", "UNWRAP", bare.name_full)
    return NONE


def light_obstacle(light: bpy.types.Light) -> Obstacle:
    """What keeps a light from being fitted."""
    if light.library is not None:
        return Obstacle("is linked from another file", "LOCAL_LIGHT", light.name_full)
    if light.type == "AREA" and getattr(getattr(light, "cycles", None), "is_portal", False):
        return Obstacle("is a portal and sends out no light")
    return NONE


@contextmanager
def writing() -> Iterator[None]:
    """Write rows and switches without a look at the scene after each."""
    before = _writing[0]
    _writing[0] = True
    try:
        yield
    finally:
        _writing[0] = before


def is_writing() -> bool:
    """Whether a change to a row or switch is not the artist's."""
    return _writing[0]


def refresh(scene: bpy.types.Scene, found: Survey | None = None) -> None:
    """Let the rows be what the scene renders now; ticks stay with their datablocks.

    The first rows of a scene take over its switches. What comes later is not ticked: nobody has chosen it.
    """
    chosen = scene.likeness.targets
    found = found or survey(scene)
    materials, lights = _wanted(found)
    obstacles = {owner: material_obstacle(owner, found.materials[owner]) for owner in materials}
    obstacles |= {owner: light_obstacle(owner) for owner in lights}
    with writing():
        if [_owner(row) for row in chosen.rows] != list(obstacles):
            _rebuild(chosen, obstacles)
        for row, (owner, obstacle) in zip(chosen.rows, obstacles.items(), strict=True):
            _set(row, "users", described(found.lights[owner] if row.light is not None else found.materials[owner]))
            _set(row, "obstacle", obstacle.reason)
            _set(row, "fix", obstacle.fix)
            _set(row, "fix_argument", obstacle.argument)


def up_to_date(scene: bpy.types.Scene, found: Survey) -> bool:
    """Whether the rows are what the scene renders."""
    materials, lights = _wanted(found)
    return [_owner(row) for row in scene.likeness.targets.rows] == [*materials, *lights]


def follow_switch(scene: bpy.types.Scene, kind: str) -> None:
    """Tick or untick a kind in all rows, as the switch of that kind says; nothing is ticked that cannot be fitted."""
    chosen = scene.likeness.targets
    with writing():
        for row in chosen.rows:
            if kind in row_kinds(row):
                setattr(row, kind, getattr(chosen, kind) and not row.obstacle)


def tick_all(scene: bpy.types.Scene, kind: str, tick: bool) -> int:
    """Tick or untick a kind wherever it can be fitted; returns in how many rows that changed something."""
    changed = 0
    with writing():
        for row in scene.likeness.targets.rows:
            if kind in row_kinds(row) and getattr(row, kind) != tick and not (tick and row.obstacle):
                setattr(row, kind, tick)
                changed += 1
    return changed


def take_over(scene: bpy.types.Scene, old: bpy.types.Material, new: bpy.types.Material) -> None:
    """Give a copy of a material the ticks of its original."""
    rows = scene.likeness.targets.rows
    original = next((row for row in rows if row.material == old), None)
    if original is None:
        return
    with writing():
        ticks = _ticks(original)
        row = rows.add()
        row.material = new
        _set_ticks(row, ticks)


def row_kinds(row: Any) -> tuple[str, ...]:
    """The kinds of target that a row has a check box for; none where its datablock was deleted."""
    return MATERIAL_TARGETS if row.material is not None else LIGHT_KINDS if row.light is not None else ()


def count(chosen: Any) -> tuple[int, int]:
    """How many check boxes are ticked, and how many could be, rows and whole-scene switches together."""
    boxes = [getattr(chosen, kind) for kind in _SCENE_KINDS]
    for row in chosen.rows:
        boxes += [getattr(row, kind) for kind in row_kinds(row) if not row.obstacle or getattr(row, kind)]
    return sum(boxes), len(boxes)


def _wanted(found: Survey) -> tuple[list[bpy.types.Material], list[bpy.types.Light]]:
    materials = sorted((item for item in found.materials if item is not None), key=_sort_key)
    return materials, sorted(found.lights, key=_sort_key)


def _owner(row: Any) -> bpy.types.ID | None:
    return row.material or row.light


def _sort_key(datablock: bpy.types.ID) -> tuple[str, str]:
    return datablock.name.casefold(), datablock.name_full


def _rebuild(chosen: Any, obstacles: dict[bpy.types.ID, Obstacle]) -> None:
    first = not len(chosen.rows)
    before = {_owner(row): (_ticks(row), row.expanded) for row in chosen.rows if _owner(row) is not None}
    chosen.rows.clear()
    for owner, obstacle in obstacles.items():
        row = chosen.rows.add()
        if isinstance(owner, bpy.types.Material):
            row.material = owner
        else:
            row.light = owner
        if owner in before:
            ticks, row.expanded = before[owner]
            _set_ticks(row, ticks)
        elif first and not obstacle.reason:
            _set_ticks(row, _switches(chosen, owner))


def _switches(chosen: Any, owner: bpy.types.ID) -> dict[str, bool]:
    """What the switches say about a datablock: all of a kind, or only the one that is named."""
    if isinstance(owner, bpy.types.Material):
        applies = chosen.material in (None, owner)
        return {kind: applies and getattr(chosen, kind) for kind in MATERIAL_TARGETS}
    applies = chosen.light in (None, owner)
    return {kind: applies and getattr(chosen, kind) for kind in LIGHT_KINDS}


def _ticks(row: Any) -> dict[str, bool]:
    return {kind: getattr(row, kind) for kind in row_kinds(row)}


def _set_ticks(row: Any, ticks: dict[str, bool]) -> None:
    for kind, tick in ticks.items():
        setattr(row, kind, tick)


def _set(row: Any, name: str, value: str) -> None:
    if getattr(row, name) != value:
        setattr(row, name, value)


def described(objects: list[bpy.types.Object]) -> str:
    """Some objects in a few words: the first names, and how many more there are."""
    names = [obj.name for obj in objects[:_NAMED_USERS]]
    more = len(objects) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
