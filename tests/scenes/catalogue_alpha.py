# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes with surfaces that let light through, compared with Cycles without indirect light."""

from __future__ import annotations

from functools import partial

import bpy
import numpy as np

from . import build
from .catalogue import EXACT, LAYERS_EXACT, Case, daylight


def _table() -> bpy.types.Object:
    build.new_scene()
    build.add_plane("Plane", build.add_material("Plane", base_color=(0.5, 0.5, 0.5), roughness=0.6))
    return build.add_camera("Camera", (2.2, -4.6, 3.0), (0.0, 0.0, 0.6), lens=45.0)


def _card(name: str, material: bpy.types.Material, location: build.Vec3, turn: float = 0.0) -> None:
    """An upright square of 1.6 m."""
    card = build.add_plane(name, material, 1.6, location)
    card.rotation_euler = (np.pi / 2, 0.0, turn)


def leaf_pixels(size: int = 128) -> np.ndarray:
    """Colour and alpha [N, N, 4] of overlapping discs with sharp rims."""
    y, x = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    pixels = np.zeros((size, size, 4))
    for number, (u, v, radius) in enumerate(((0.3, 0.3, 0.22), (0.68, 0.42, 0.2), (0.45, 0.72, 0.2))):
        inside = (x - u) ** 2 + (y - v) ** 2 < radius**2
        pixels[inside] = (*((0.2, 0.6, 0.2), (0.7, 0.5, 0.1), (0.3, 0.5, 0.7))[number], 1.0)
    return pixels


def _link_alpha(material: bpy.types.Material) -> None:
    """Alpha of the image that gives the base colour."""
    tree = material.node_tree
    image = next(node for node in tree.nodes if node.type == "TEX_IMAGE")
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(image.outputs["Alpha"], principled.inputs["Alpha"])


def leaves() -> bpy.types.Object:
    """Cut-out cards one behind the other, with their shadows; a hard light."""
    camera = _table()
    image = build.add_image("Leaves", leaf_pixels(), "sRGB")
    for number in range(3):
        material = build.add_material(f"Leaves {number}", maps={"base_color": image}, extension="CLIP", roughness=0.5)
        _link_alpha(material)
        _card(f"Card {number}", material, (0.5 * number - 0.5, 0.5 * number - 0.4, 0.8), 0.3 * number)
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, shadow_soft_size=0.0)
    return camera


def panes() -> bpy.types.Object:
    """Panes of constant alpha in front of a ball, lit by a sun."""
    camera = _table()
    build.add_sphere("Ball", build.add_material("Ball", base_color=(0.6, 0.3, 0.1), roughness=0.4), 0.6, (0, 0.6, 0.6))
    for number, alpha in enumerate((0.2, 0.5, 0.8)):
        look = {"base_color": ((0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.1, 0.2, 0.8))[number], "roughness": 0.3}
        material = build.add_material(f"Pane {number}", alpha=alpha, **look)
        _card(f"Pane {number}", material, (0.45 * number - 0.6, -0.2 * number, 0.8), 0.2)
    build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.6, angle=0.12)
    return camera


def veil() -> bpy.types.Object:
    """Transparent mixed with Principled by a checkered image, under a sky."""
    camera = _table()
    checks = np.kron(np.array([[0.15, 0.9] * 4, [0.9, 0.15] * 4] * 4), np.ones((8, 8)))[..., None]
    material = build.add_material("Veil", base_color=(0.7, 0.6, 0.5), roughness=0.7)
    tree = material.node_tree
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    mix = tree.nodes.new("ShaderNodeMixShader")
    image = tree.nodes.new("ShaderNodeTexImage")
    image.image = build.add_image("Checks", checks, "Non-Color")
    tree.links.new(image.outputs["Color"], mix.inputs[0])
    tree.links.new(tree.nodes.new("ShaderNodeBsdfTransparent").outputs[0], mix.inputs[1])
    tree.links.new(principled.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    build.add_sphere("Ball", material, 0.9, (0.0, 0.0, 0.9))
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.9, image=image)
    return camera


def _glass(shape: str, roughness: float = 0.0, color: build.Vec3 = (1.0, 1.0, 1.0)) -> bpy.types.Object:
    """A thing of glass before a checkered ball, under a sky and a soft light."""
    build.new_scene()
    checks = np.kron(np.array([[0.2, 0.7] * 8, [0.7, 0.2] * 8] * 8), np.ones((8, 8)))[..., None]
    image = build.add_image("Checks", checks, "Non-Color")
    build.add_plane("Plane", build.add_material("Plane", maps={"base_color": image}, roughness=0.6), 8.0)
    build.add_sphere(
        "Ball", build.add_material("Ball", base_color=(0.7, 0.3, 0.1), roughness=0.5), 0.6, (0.5, 1.2, 0.6)
    )
    material = build.add_material("Glass", base_color=color, roughness=roughness)
    principled = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    principled.inputs["Transmission Weight"].default_value = 1.0
    if shape == "ball":
        build.add_sphere("Glass", material, 0.8, (0.0, -0.3, 0.8))
    else:
        for number in range(2):  # both sides of a pane
            side = build.add_plane(f"Glass {number}", material, 1.6, (0.0, -0.8 + 0.04 * number, 0.8))
            side.rotation_euler = (np.pi / 2, 0.0, np.pi * number)
    build.add_light("AREA", (1.8, -2.0, 3.6), energy=120.0, size=0.8)
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.7, image=image)
    return build.add_camera("Camera", (1.4, -4.6, 2.6), (0.0, 0.0, 0.6), lens=45.0)


ALPHA: dict[str, Case] = {
    "leaves": Case(leaves, LAYERS_EXACT),
    "panes": Case(panes, LAYERS_EXACT, 1024),
    "veil": Case(veil, EXACT, 4096),
}

# full light transport: what is made of glass has to be half as far from it, or nearer, as an opaque surface is
NEARER = 20 * np.log10(2.0)
GLASS: dict[str, Case] = {
    "glass_pane": Case(partial(_glass, "pane", 0.3, (0.3, 0.7, 0.4)), NEARER, 384),
    "glass_ball": Case(partial(_glass, "ball"), NEARER, 384),
}
