# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of surfaces beyond the plain Principled base, compared with Cycles without indirect light."""

from __future__ import annotations

from functools import partial
from typing import Any

import bpy
import numpy as np

from . import build
from .catalogue import EXACT, LAYERS_EXACT, Case, daylight, layered_cases

CHALKS: list[dict[str, Any]] = [
    {"base_color": (0.8, 0.5, 0.3), "diffuse_roughness": 1.0, "roughness": 0.6},
    {"base_color": (0.3, 0.6, 0.8), "diffuse_roughness": 0.5, "roughness": 0.4, "metallic": 0.3},
    {"base_color": (0.9, 0.9, 0.9), "diffuse_roughness": 0.8, "specular_level": 0.0, "coat_weight": 0.4},
]


def waves(size: int = 256) -> np.ndarray:
    """A smooth height or weight [N, N] between 0 and 1 that repeats."""
    y, x = np.meshgrid(*[2 * np.pi * (np.arange(size) + 0.5) / size] * 2, indexing="ij")
    return 0.5 + 0.25 * np.sin(6 * x) * np.cos(3 * y) + 0.25 * np.sin(4 * y + 0.6 * np.sin(2 * x))


def bumps(size: int = 256, depth: float = 0.3) -> np.ndarray:
    """The tangent-space normal map of `waves`, stored values [N, N, 3]."""
    height = waves(size) * depth * size / (2 * np.pi)
    slope = [(np.roll(height, -1, axis) - np.roll(height, 1, axis)) / 2 for axis in (1, 0)]
    normal = np.stack([-slope[0], -slope[1], np.ones_like(height)], axis=-1)
    return 0.5 + 0.5 * normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def table() -> bpy.types.Object:
    """An empty grey table; returns the camera."""
    build.new_scene()
    build.add_plane("Plane", build.add_material("Plane", base_color=(0.5, 0.5, 0.5), roughness=0.6))
    return build.add_camera("Camera", (2.2, -4.6, 3.0), (0.0, 0.0, 0.7), lens=45.0)


def light_up(kind: str) -> None:
    """A light of one kind."""
    if kind == "POINT":
        build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, shadow_soft_size=0.0)
    elif kind == "SUN":
        build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.6, angle=0.12)
    else:
        image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
        build.set_world(bpy.context.scene, strength=0.9, image=image)


def gray(name: str, values: np.ndarray) -> bpy.types.Image:
    """A Non-Color image of numbers [N, N]."""
    return build.add_image(name, values[..., None], "Non-Color", is_float=True)


def link_normal_map(material: bpy.types.Material, image: bpy.types.Image, socket: str, strength: float = 1.0) -> None:
    """A Normal Map node before one of the shader's inputs."""
    tree = material.node_tree
    node, texture = tree.nodes.new("ShaderNodeNormalMap"), tree.nodes.new("ShaderNodeTexImage")
    texture.image, node.inputs["Strength"].default_value = image, strength
    tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    tree.links.new(node.outputs["Normal"], principled.inputs[socket])


def link_displacement(
    material: bpy.types.Material, image: bpy.types.Image, method: str, scale: float, midlevel: float = 0.5
) -> None:
    """A Displacement node with the image as height."""
    tree = material.node_tree
    node, texture = tree.nodes.new("ShaderNodeDisplacement"), tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    node.inputs["Scale"].default_value, node.inputs["Midlevel"].default_value = scale, midlevel
    tree.links.new(texture.outputs["Color"], node.inputs["Height"])
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(node.outputs["Displacement"], output.inputs["Displacement"])
    material.displacement_method = method


def lacquer(light: str) -> bpy.types.Object:
    """Two balls whose coat has a normal map of its own, over a smooth and over a bent base."""
    camera = table()
    for number, (bent, base) in enumerate((("Coat Normal", 0.0), ("Coat Normal", 0.7))):
        look: dict[str, Any] = {"base_color": ((0.5, 0.06, 0.04), (0.05, 0.2, 0.5))[number], "roughness": 0.5}
        look |= {"coat_weight": (1.0, 0.6)[number], "coat_roughness": 0.25, "sheen_weight": 0.5 * number}
        material = build.add_material(f"Ball {number}", **look)
        image = build.add_image(f"Bumps {number}", bumps(), "Non-Color", is_float=True)
        link_normal_map(material, image, bent)
        if base:
            link_normal_map(material, image, "Normal", base)
        build.add_sphere(f"Ball {number}", material, 0.9, (1.9 * number - 0.95, 0.2, 0.9))
    light_up(light)
    return camera


def patches(light: str) -> bpy.types.Object:
    """Balls with textures in all sockets of coat and of sheen."""
    camera = table()
    wave = waves()
    tint = np.stack([wave, 1.0 - wave, np.full_like(wave, 0.5)], axis=-1)
    coat = {"coat_weight": gray("Weight", wave), "coat_roughness": gray("Roughness", 0.2 + 0.5 * wave)}
    coat |= {"coat_tint": build.add_image("Tint", tint, "Non-Color", is_float=True)}
    coat |= {"coat_ior": gray("Index", 1.2 + 0.8 * wave)}
    sheen = {"sheen_weight": gray("Sheen", wave), "sheen_roughness": gray("Velvet", 0.2 + 0.6 * wave)}
    sheen |= {"sheen_tint": build.add_image("Dye", tint[..., ::-1], "Non-Color", is_float=True)}
    for number, maps in enumerate((coat, sheen)):
        material = build.add_material(f"Ball {number}", base_color=(0.4, 0.1, 0.08), roughness=0.5, maps=maps)
        build.add_sphere(f"Ball {number}", material, 0.9, (1.9 * number - 0.95, 0.2, 0.9))
    light_up(light)
    return camera


def relief(light: str, method: str) -> bpy.types.Object:
    """A scaled and turned ball, and a slab, with an image as displacement."""
    camera = table()
    # each has a material of its own: slopes that are baked belong to one UV map
    materials = [build.add_material(f"Relief {i}", base_color=(0.6, 0.35, 0.2), roughness=0.5) for i in (0, 1)]
    for material in materials:
        link_displacement(material, gray("Height", waves()), method, 0.1)
    ball = build.add_sphere("Ball", materials[0], 0.6, (-0.8, 0.2, 0.95), rows=128, columns=256)
    ball.scale, ball.rotation_euler = (1.3, 1.3, 1.3), (0.3, 0.2, 0.5)
    across = np.linspace(-0.7, 0.7, 129)
    points = np.stack([*np.meshgrid(across, across), np.zeros((129, 129))], axis=-1)
    build.add_mesh("Slab", [build.grid(points)], materials[1:], location=(1.1, -0.2, 0.5)).rotation_euler = (
        0.5,
        0.0,
        0.3,
    )
    light_up(light)
    return camera


def embossed(light: str) -> bpy.types.Object:
    """A ball with a Bump node, another with one on top of a normal map, inverted and weaker."""
    camera = table()
    height, image = gray("Height", waves()), build.add_image("Bumps", bumps(depth=0.15), "Non-Color", is_float=True)
    for number, (strength, distance) in enumerate(((1.0, 0.1), (0.6, 0.2))):
        material = build.add_material(f"Ball {number}", base_color=(0.5, 0.3, 0.2), roughness=0.4)
        tree = material.node_tree
        if number:
            link_normal_map(material, image, "Normal")
        principled = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
        bump, texture = tree.nodes.new("ShaderNodeBump"), tree.nodes.new("ShaderNodeTexImage")
        texture.image, bump.invert = height, bool(number)
        bump.inputs["Strength"].default_value, bump.inputs["Distance"].default_value = strength, distance
        for link in principled.inputs["Normal"].links:
            tree.links.new(link.from_socket, bump.inputs["Normal"])
        tree.links.new(texture.outputs["Color"], bump.inputs["Height"])
        tree.links.new(bump.outputs["Normal"], principled.inputs["Normal"])
        build.add_sphere(f"Ball {number}", material, 0.9, (1.9 * number - 0.95, 0.2, 0.9))
    light_up(light)
    return camera


def metals(light: str) -> bpy.types.Object:
    """Metallic BSDFs with tinted edges, one of them brushed and one bumpy; from Blender 4.3 on."""
    camera = table()
    looks = [((0.9, 0.6, 0.3), (0.7, 0.3, 0.2), 0.3, 0.0), ((0.4, 0.5, 0.7), (1.0, 1.0, 1.0), 0.5, 0.6)]
    looks.append(((0.8, 0.8, 0.3), (0.9, 0.5, 0.6), 0.45, 0.0))
    image = build.add_image("Bumps", bumps(), "Non-Color", is_float=True)
    for number, (base, edge, roughness, brushed) in enumerate(looks):
        material = build.add_material(f"Ball {number}")
        tree = material.node_tree
        metal = tree.nodes.new("ShaderNodeBsdfMetallic")
        metal.inputs["Base Color"].default_value, metal.inputs["Edge Tint"].default_value = (*base, 1.0), (*edge, 1.0)
        metal.inputs["Roughness"].default_value, metal.inputs["Anisotropy"].default_value = roughness, brushed
        metal.inputs["Rotation"].default_value = 0.1
        if number == 2:
            link_normal_map(material, image, "Normal")
            mapped = next(node for node in tree.nodes if node.type == "NORMAL_MAP")
            tree.links.new(mapped.outputs["Normal"], metal.inputs["Normal"])
        output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
        tree.links.new(metal.outputs[0], output.inputs["Surface"])
        build.add_sphere(f"Ball {number}", material, 0.6, (1.3 * (number - 1), 0.2 * number, 0.6))
    light_up(light)
    return camera


SURFACE: dict[str, Case] = layered_cases("chalk", CHALKS) | {
    "lacquer_point": Case(partial(lacquer, "POINT"), LAYERS_EXACT),
    "lacquer_environment": Case(partial(lacquer, "ENVIRONMENT"), EXACT, 1024),
    "patches_sun": Case(partial(patches, "SUN"), LAYERS_EXACT, 1024),
    "patches_environment": Case(partial(patches, "ENVIRONMENT"), EXACT, 1024),
    "metals_point": Case(partial(metals, "POINT"), LAYERS_EXACT),
    "relief_point": Case(partial(relief, "POINT", "DISPLACEMENT"), LAYERS_EXACT),
}
"""Rough diffuse surfaces, coat normals, textured layers and displacement, compared on small pictures."""

BENT: dict[str, Case] = {
    "relief_bent": Case(partial(relief, "POINT", "BUMP"), LAYERS_EXACT),
    "embossed_point": Case(partial(embossed, "POINT"), LAYERS_EXACT),
}
"""Bump, and displacement that bends normals: read with baking."""
