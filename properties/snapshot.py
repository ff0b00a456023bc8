# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene as it was before the last apply, kept for Before/After.

Each entry pairs what the scene shows with what it would show on the other side; the toggle swaps the two. Pointers
rather than names: they survive renaming, undo and saving, and they keep the hidden datablock in the file.
"""

from __future__ import annotations

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    PointerProperty,
)


class LikenessKeptMaterial(bpy.types.PropertyGroup):
    """A material and its other side."""

    shown: PointerProperty(type=bpy.types.Material, name="Shown", description="Material that objects use")
    hidden: PointerProperty(type=bpy.types.Material, name="Hidden", description="Material that Before/After brings")


class LikenessKeptLight(bpy.types.PropertyGroup):
    """A light and its other values."""

    light: PointerProperty(type=bpy.types.Light, name="Light", description="Light that was fitted")
    energy: FloatProperty(name="Power", description="Power that Before/After brings")
    color: FloatVectorProperty(name="Color", description="Color that Before/After brings", size=3)


class LikenessKeptPhoto(bpy.types.PropertyGroup):
    """Other values of the photo of that name."""

    exposure: FloatProperty(name="Exposure", description="Exposure that Before/After brings")
    white_balance: FloatVectorProperty(
        name="White Balance", description="White balance that Before/After brings", size=3
    )


class LikenessKeptCamera(bpy.types.PropertyGroup):
    """The other place of a camera object."""

    camera: PointerProperty(type=bpy.types.Object, name="Camera", description="Camera whose pose was fitted")
    matrix: FloatVectorProperty(
        name="Matrix", description="Place, rotation and scale that Before/After brings, row by row", size=16
    )


class LikenessKeptLens(bpy.types.PropertyGroup):
    """Other values of a camera datablock."""

    data: PointerProperty(type=bpy.types.Camera, name="Data", description="Camera datablock that was fitted")
    lens: FloatProperty(name="Focal Length", description="Focal length that Before/After brings")
    ortho_scale: FloatProperty(name="Scale", description="Orthographic scale that Before/After brings")
    shift_x: FloatProperty(name="Shift X", description="Horizontal shift that Before/After brings")
    shift_y: FloatProperty(name="Shift Y", description="Vertical shift that Before/After brings")
    distorts: BoolProperty(name="Distorts", description="There is a distortion on the other side")
    distortion: FloatVectorProperty(
        name="Distortion", description="Distortion that Before/After brings: k1, k2, p1, p2, k3", size=5
    )


class LikenessSnapshot(bpy.types.PropertyGroup):
    """All that the last apply changed, in the state that is not shown."""

    showing: EnumProperty(
        name="Showing",
        description="Which side of the last apply the scene shows",
        items=(
            ("NONE", "Nothing Kept", "There is no state before an apply"),
            ("AFTER", "After", "The scene shows the result"),
            ("BEFORE", "Before", "The scene shows what was there before the result"),
        ),
    )
    materials: CollectionProperty(type=LikenessKeptMaterial, name="Materials", description="Materials of both sides")
    lights: CollectionProperty(type=LikenessKeptLight, name="Lights", description="Lights that were fitted")
    photos: CollectionProperty(type=LikenessKeptPhoto, name="Photos", description="Photos that were fitted")
    cameras: CollectionProperty(type=LikenessKeptCamera, name="Cameras", description="Cameras that were fitted")
    lenses: CollectionProperty(type=LikenessKeptLens, name="Lenses", description="Lenses that were fitted")
    has_world: BoolProperty(name="Has World", description="The world was fitted")
    world_is_new: BoolProperty(name="World Is New", description="There was no world before")
    world_shown: PointerProperty(type=bpy.types.World, name="World Shown", description="World that the scene uses")
    world_hidden: PointerProperty(type=bpy.types.World, name="World Hidden", description="World on the other side")
    has_exposure: BoolProperty(name="Has Exposure", description="The exposure of the scene was fitted")
    exposure: FloatProperty(name="Exposure", description="Exposure of the scene on the other side")


CLASSES = (
    LikenessKeptMaterial,
    LikenessKeptLight,
    LikenessKeptPhoto,
    LikenessKeptCamera,
    LikenessKeptLens,
    LikenessSnapshot,
)
