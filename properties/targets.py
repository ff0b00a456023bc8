# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit may change."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, PointerProperty


class LikenessTargets(bpy.types.PropertyGroup):
    """What the fit may change."""

    base_color: BoolProperty(
        name="Base Color", description="Fit the base color of the materials as an image texture", default=True
    )
    roughness: BoolProperty(name="Roughness", description="Fit the roughness of the materials as an image texture")
    metallic: BoolProperty(
        name="Metallic", description="Fit the metallic value of the materials as an image texture. Only for metal parts"
    )
    normal: BoolProperty(name="Normal", description="Fit a tangent-space normal map of the materials")
    emission: BoolProperty(name="Emission", description="Fit the light that the materials send out")
    lights: BoolProperty(name="Lights", description="Fit power and color of the lights")
    world: BoolProperty(name="World", description="Fit the light that comes from all around as an environment image")
    world_strength: BoolProperty(
        name="World Strength", description="Fit how strong the light from all around is and keep its image or color"
    )
    exposure: BoolProperty(name="Exposure", description="Fit the exposure of each photo")
    white_balance: BoolProperty(name="White Balance", description="Fit the white balance of each photo")
    material: PointerProperty(
        type=bpy.types.Material,
        name="Only Material",
        description="Fit this material and leave the others as they are. Empty: all materials",
    )
    light: PointerProperty(
        type=bpy.types.Light,
        name="Only Light",
        description="Fit this light and leave the others as they are. Empty: all lights",
    )


CLASSES = (LikenessTargets,)
