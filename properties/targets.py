# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit may change: switches for all materials and lights, and rows for those who choose one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy
from bpy.props import BoolProperty, CollectionProperty, PointerProperty, StringProperty

# The bridge reads scene.likeness and imports this package; so what is called later is imported later.


def _changed(group: Any, _context: bpy.types.Context) -> None:
    """A tick changed: say what that means for the fit."""
    from ..bridge import preflight, target_rows

    if not target_rows.is_writing():
        preflight.update(group.id_data)


def _switched(kind: str) -> Callable[[Any, bpy.types.Context], None]:
    """Callback of a switch: rows follow it."""

    def update(group: Any, context: bpy.types.Context) -> None:
        from ..bridge import target_rows

        target_rows.follow_switch(group.id_data, kind)
        _changed(group, context)

    return update


def _one_by_one_changed(group: Any, context: bpy.types.Context) -> None:
    from ..bridge import target_rows

    if group.one_by_one:
        target_rows.refresh(group.id_data)
    _changed(group, context)


def _count(group: Any) -> str:
    from ..bridge import target_rows

    ticked, boxes = target_rows.count(group)
    return f"{ticked} of {boxes} may change"


class LikenessTargetRow(bpy.types.PropertyGroup):
    """One material or light of the scene, and what of it the fit may change."""

    material: PointerProperty(type=bpy.types.Material, name="Material", description="Material that the row is about")
    light: PointerProperty(type=bpy.types.Light, name="Light", description="Light that the row is about")
    expanded: BoolProperty(name="Expand", description="Show what of it may change")
    users: StringProperty(name="Used By", description="Objects that show it, as of the last refresh")
    obstacle: StringProperty(name="Obstacle", description="Why it cannot be fitted. Empty: it can")
    fix: StringProperty(name="Fix", description="What would remove the obstacle, a kind of likeness.fix")
    fix_argument: StringProperty(name="Fix Argument", description="Datablock that the fix is done to")
    base_color: BoolProperty(
        name="Base Color", description="Fit the base color of this material as an image texture", update=_changed
    )
    roughness: BoolProperty(
        name="Roughness", description="Fit the roughness of this material as an image texture", update=_changed
    )
    metallic: BoolProperty(
        name="Metallic", description="Fit the metallic value of this material as an image texture", update=_changed
    )
    normal: BoolProperty(name="Normal", description="Fit a normal map of this material", update=_changed)
    emission: BoolProperty(name="Emission", description="Fit the light that this material sends out", update=_changed)
    lights: BoolProperty(name="Power and Color", description="Fit power and color of this light", update=_changed)


class LikenessTargets(bpy.types.PropertyGroup):
    """What the fit may change."""

    base_color: BoolProperty(
        name="Base Color",
        description="Fit the base color of the materials as an image texture",
        default=True,
        update=_switched("base_color"),
    )
    roughness: BoolProperty(
        name="Roughness",
        description="Fit the roughness of the materials as an image texture",
        update=_switched("roughness"),
    )
    metallic: BoolProperty(
        name="Metallic",
        description="Fit the metallic value of the materials as an image texture. Only for metal parts",
        update=_switched("metallic"),
    )
    normal: BoolProperty(
        name="Normal", description="Fit a tangent-space normal map of the materials", update=_switched("normal")
    )
    emission: BoolProperty(
        name="Emission", description="Fit the light that the materials send out", update=_switched("emission")
    )
    lights: BoolProperty(name="Lights", description="Fit power and color of the lights", update=_switched("lights"))
    world: BoolProperty(
        name="World",
        description="Fit the light that comes from all around as an environment image",
        update=_changed,
    )
    world_strength: BoolProperty(
        name="World Strength",
        description="Fit how strong the light from all around is and keep its image or color",
        update=_changed,
    )
    exposure: BoolProperty(name="Exposure", description="Fit the exposure of each photo", update=_changed)
    white_balance: BoolProperty(
        name="White Balance", description="Fit the white balance of each photo", update=_changed
    )
    camera: BoolProperty(
        name="Pose", description="Find where the cameras were when they took their photos", update=_changed
    )
    lens: BoolProperty(name="Focal Length", description="Find the focal length of the cameras", update=_changed)
    shift: BoolProperty(
        name="Shift", description="Find the shift of the lenses. For photos that were cropped", update=_changed
    )
    distortion: BoolProperty(
        name="Distortion",
        description="Find how the lenses distort, and straighten the photos. For sharp photos of known things",
        update=_changed,
    )
    material: PointerProperty(
        type=bpy.types.Material,
        name="Only Material",
        description="Fit this material and leave the others as they are. Empty: all materials",
        update=_changed,
    )
    light: PointerProperty(
        type=bpy.types.Light,
        name="Only Light",
        description="Fit this light and leave the others as they are. Empty: all lights",
        update=_changed,
    )
    one_by_one: BoolProperty(
        name="Choose One by One",
        description="Choose for each material and light what may change. Off: the same for all of them",
        update=_one_by_one_changed,
    )
    rows: CollectionProperty(
        type=LikenessTargetRow, name="Rows", description="Materials and lights of the scene and what of them may change"
    )
    count: StringProperty(name="Count", description="How many things are ticked, of those that could be", get=_count)


CLASSES = (LikenessTargetRow, LikenessTargets)
