# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes that stress one property of a light each, and scenes that are lit by their surfaces; see catalogue.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import bpy
import numpy as np

from . import build
from .catalogue import EXACT, NOISY, Case, daylight, stage

FULL_LIGHT = 34.0  # dB wanted of the worst scene against full light transport


def _glowing(name: str, color: build.Vec3, strength: float, **look: Any) -> bpy.types.Material:
    return build.add_material(name, emission_color=color, emission_strength=strength, **look)


def lit(kind: str, location: build.Vec3 = (1.8, -2.0, 3.4), scale: build.Vec3 = (1.0, 1.0, 1.0), **more: Any) -> Any:
    """The ball on its plane under one light; what is no property of the light's datablock is one of its object."""
    camera = stage()
    data = {key: value for key, value in more.items() if hasattr(bpy.types.Light, key) or key in _OF_DATA}
    light = build.add_light(kind, location, (0.0, 0.0, 0.5), **data)
    light.scale = scale
    for key in more.keys() - data.keys():
        setattr(light, key, more[key])
    return camera


_OF_DATA = {
    "energy", "shadow_soft_size", "use_soft_falloff", "shape", "size", "size_y", "spread", "angle", "spot_size",
    "spot_blend", "use_square", "normalize", "exposure", "use_temperature", "temperature", "color", "use_shadow",
}  # fmt: skip


def negative_light() -> bpy.types.Object:
    """One light takes away what others bring."""
    camera = lit("POINT", energy=420.0, shadow_soft_size=0.1)
    build.add_light("POINT", (-1.2, -1.6, 1.8), name="Dark", energy=-25.0, shadow_soft_size=0.1)
    build.set_world(bpy.context.scene, strength=0.3)
    return camera


def node_light() -> bpy.types.Object:
    camera = lit("POINT", energy=120.0, shadow_soft_size=0.2)
    light = bpy.data.lights["Point"]
    light.use_nodes = True
    emission = next(node for node in light.node_tree.nodes if node.bl_idname == "ShaderNodeEmission")
    emission.inputs["Color"].default_value = (0.9, 0.5, 0.2, 1.0)
    emission.inputs["Strength"].default_value = 3.0
    return camera


def seen_lights() -> bpy.types.Object:
    """Lights in the picture that the camera may see: area from its front, disk, soft point and sphere, all dim."""
    camera = stage()
    to = (1.0, -4.0, 1.0)
    lights = [
        build.add_light("AREA", (-1.5, 1.2, 1.4), to, energy=1.3, shape="RECTANGLE", size=0.9, size_y=0.5),
        build.add_light("AREA", (1.5, 1.4, 1.3), to, name="Disk", energy=1.0, shape="DISK", size=0.6),
        build.add_light("POINT", (1.3, -0.8, 0.7), energy=1.5, shadow_soft_size=0.2),
        build.add_light("POINT", (-1.4, -0.9, 0.5), name="S", energy=1.3, shadow_soft_size=0.2, use_soft_falloff=False),
    ]
    for light in lights:
        light.visible_camera = True
    build.set_world(bpy.context.scene, strength=0.2)
    return camera


def no_glossy(**flags: bool) -> bpy.types.Object:
    """A light that only some reflections know, over metal and paint."""
    camera = stage(base_color=(0.9, 0.8, 0.6), metallic=1.0, roughness=0.3)
    light = build.add_light("AREA", (2.0, -2.0, 3.2), energy=160.0, shape="SQUARE", size=1.2)
    for key, value in flags.items():
        setattr(light, key, value)
    build.set_world(bpy.context.scene, strength=0.15)
    return camera


def sun_behind_clouds(directions: np.ndarray) -> np.ndarray:
    """A dim sky with a sun of one degree, a few texels wide, that brings most of the light."""
    toward = np.array([0.5, -0.6, 0.62]) / np.linalg.norm([0.5, -0.6, 0.62])
    disc = (directions @ toward > math.cos(math.radians(0.8)))[..., None]
    return np.where(directions[..., 2:] > 0, [0.15, 0.2, 0.3], [0.06, 0.05, 0.04]) + disc * np.array([6e3, 5.6e3, 5e3])


def sharp_sun() -> bpy.types.Object:
    camera = stage()
    pixels = build.environment_pixels(sun_behind_clouds, height=512)
    image = build.add_image("Sun", pixels, "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.8, image=image)
    return camera


def many_lights() -> bpy.types.Object:
    """Twenty lamps, most of which are too far away to matter for a pixel."""
    camera = stage()
    random = np.random.default_rng(3)
    for number in range(20):
        x, y = random.uniform(-3.0, 3.0, 2)
        color = tuple(random.uniform(0.3, 1.0, 3))
        settings = {"energy": float(random.uniform(3.0, 25.0)), "shadow_soft_size": 0.1, "color": color}
        build.add_light("POINT", (x, y, float(random.uniform(0.6, 2.2))), name=f"Lamp {number}", **settings)
    return camera


def mesh_panel() -> bpy.types.Object:
    """A glowing panel of two triangles is the only light."""
    camera = stage()
    panel = build.add_plane("Panel", _glowing("Panel", (1.0, 0.85, 0.6), 12.0), size=1.4, location=(-1.6, -1.2, 3.0))
    panel.rotation_euler = (0.3, 2.7, 0.0)
    return camera


def mesh_bulbs() -> bpy.types.Object:
    """Small glowing balls of thousands of triangles, one of an Emission shader."""
    camera = stage()
    build.add_sphere("Bulb", _glowing("Bulb", (1.0, 0.7, 0.4), 260.0), 0.12, (2.2, -1.8, 2.6))
    material = build.add_material("Emission")
    tree = material.node_tree
    emission = tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Color"].default_value, emission.inputs["Strength"].default_value = (0.4, 0.6, 1.0, 1.0), 200.0
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(emission.outputs["Emission"], output.inputs["Surface"])
    build.add_sphere("Blue", material, 0.08, (-2.6, -2.0, 1.2))
    return camera


def mesh_screen() -> bpy.types.Object:
    """A screen that shows a coarse picture, and a metal ball."""
    camera = stage(base_color=(0.9, 0.8, 0.7), metallic=1.0, roughness=0.35)
    blocks = np.kron(np.random.default_rng(5).uniform(0.0, 1.0, (4, 6, 3)) ** 3, np.ones((8, 8, 1)))
    image = build.add_image("Picture", build.encode_srgb(blocks), "sRGB")
    material = build.add_material(
        "Screen", base_color=(0.02, 0.02, 0.02), maps={"emission_color": image}, emission_strength=14.0
    )
    screen = build.add_plane("Screen", material, size=1.8, location=(-2.0, -0.6, 1.3))
    screen.rotation_euler = (0.0, 1.4, -0.5)
    build.set_world(bpy.context.scene, strength=0.05)
    return camera


def _sky(kind: str) -> bpy.types.Object:
    camera = stage()
    build.set_world(bpy.context.scene, strength=0.12)
    tree = bpy.context.scene.world.node_tree
    background = next(node for node in tree.nodes if node.type == "BACKGROUND")
    sky = tree.nodes.new("ShaderNodeTexSky")
    types = [item.identifier for item in type(sky).bl_rna.properties["sky_type"].enum_items]
    sky.sky_type = kind if kind in types else types[0]
    if kind in {"MULTIPLE_SCATTERING", "SINGLE_SCATTERING", "NISHITA"}:
        sky.sun_elevation, sky.sun_rotation = 0.7, 2.4
    tree.links.new(sky.outputs["Color"], background.inputs["Color"])
    background.inputs["Strength"].default_value = 0.05
    return camera


def _case(build_scene: Callable[[], bpy.types.Object], floor: float = NOISY, samples: int = 512) -> Case:
    return Case(build_scene, floor, samples)


LIGHTS: dict[str, Case] = {
    "spot_sphere": _case(
        partial(lit, "SPOT", energy=700.0, spot_size=0.9, shadow_soft_size=0.4, use_soft_falloff=False)
    ),
    "spot_square": _case(partial(lit, "SPOT", energy=900.0, spot_size=0.7, spot_blend=0.3, use_square=True), EXACT),
    "spot_stretched": _case(
        partial(lit, "SPOT", scale=(1.0, 0.5, 1.3), energy=900.0, spot_size=0.9, spot_blend=0.2), EXACT
    ),
    "spot_square_stretched": _case(
        partial(lit, "SPOT", scale=(1.2, 0.6, 1.0), energy=900.0, spot_size=0.8, spot_blend=0.6, use_square=True), EXACT
    ),
    "ellipse_spread": _case(
        partial(lit, "AREA", scale=(2.0, 1.3, 0.7), energy=120.0, shape="ELLIPSE", size=0.6, size_y=1.0, spread=2.0)
    ),
    "negative_light": _case(negative_light),
    "area_plain_radiance": _case(partial(lit, "AREA", energy=80.0, shape="SQUARE", size=1.0, normalize=False)),
    "sun_plain_radiance": _case(partial(lit, "SUN", energy=12.0, angle=0.5, normalize=False)),
    "sun_half_sky": _case(partial(lit, "SUN", energy=2.5, angle=2.4)),
    "sun_whole_sky": _case(partial(lit, "SUN", energy=2.5, angle=math.pi)),
    "warm_exposed": _case(
        partial(
            lit, "POINT", energy=100.0, exposure=1.5, use_temperature=True, temperature=3200.0, shadow_soft_size=0.1
        )
    ),
    "without_shadow": _case(partial(lit, "POINT", energy=420.0, use_shadow=False, shadow_soft_size=0.3)),
    "node_light": _case(node_light),
    "seen_lights": _case(seen_lights),
    "not_glossy": _case(partial(no_glossy, visible_glossy=False)),
    "not_diffuse": _case(partial(no_glossy, visible_diffuse=False)),
    "sharp_sun": _case(sharp_sun, samples=2048),
    "many_lights": _case(many_lights, samples=1024),
    "mesh_panel": _case(mesh_panel, samples=1024),
    "mesh_bulbs": _case(mesh_bulbs, samples=1024),
    "mesh_screen": _case(mesh_screen, samples=2048),
    "sky_multiple": _case(partial(_sky, "MULTIPLE_SCATTERING"), samples=1024),
    "sky_single": _case(partial(_sky, "SINGLE_SCATTERING"), samples=1024),
    "sky_hosek": _case(partial(_sky, "HOSEK_WILKIE"), samples=1024),
    "sky_preetham": _case(partial(_sky, "PREETHAM"), samples=1024),
}
"""Compared without indirect light."""


def _wall(name: str, albedo: build.Vec3, location: build.Vec3, rotation: build.Vec3, size: float = 6.0) -> None:
    wall = build.add_plane(name, build.add_material(name, base_color=albedo, roughness=0.7), size, location)
    wall.rotation_euler = rotation


def _box(name: str, material: bpy.types.Material, size: build.Vec3, location: build.Vec3, turn: float = 0.0) -> None:
    x, y, z = np.array(size) / 2
    sides = [
        ((-x, -y), (x, -y)), ((x, -y), (x, y)), ((x, y), (-x, y)), ((-x, y), (-x, -y)),
    ]  # fmt: skip
    parts = [np.array([[(*a, -z), (*b, -z)], [(*a, z), (*b, z)]]) for a, b in sides]
    parts.append(np.array([[(-x, -y, z), (x, -y, z)], [(-x, y, z), (x, y, z)]]))
    parts.append(np.array([[(-x, y, -z), (x, y, -z)], [(-x, -y, -z), (x, -y, -z)]]))
    box = build.add_mesh(name, [build.grid(part) for part in parts], [material], smooth=False, location=location)
    box.rotation_euler = (0.0, 0.0, turn)


def _corner(albedo: float = 0.8, left: build.Vec3 | None = None, right: build.Vec3 | None = None) -> bpy.types.Object:
    """Floor and two walls; no light yet. Returns the camera."""
    build.new_scene()
    white = (albedo, albedo, albedo)
    _wall("Floor", white, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    _wall("Back", right or white, (0.0, 1.5, 0.0), (math.pi / 2, 0.0, 0.0))
    _wall("Side", left or white, (-1.5, 0.0, 0.0), (0.0, math.pi / 2, 0.0))
    return build.add_camera("Camera", (2.6, -3.4, 2.2), (-0.4, 0.3, 0.6), lens=38.0)


def white_corner() -> bpy.types.Object:
    camera = _corner()
    build.add_sphere(
        "Ball", build.add_material("Ball", base_color=(0.8, 0.8, 0.8), roughness=0.5), 0.6, (-0.3, 0.3, 0.6)
    )
    build.add_light("AREA", (1.6, -1.6, 3.0), (-0.4, 0.3, 0.3), energy=110.0, shape="SQUARE", size=0.8)
    build.set_world(bpy.context.scene, strength=0.05)
    return camera


def coloured_boxes() -> bpy.types.Object:
    camera = _corner(0.75, left=(0.75, 0.1, 0.08), right=(0.1, 0.5, 0.12))
    _box(
        "Tall",
        build.add_material("Tall", base_color=(0.8, 0.75, 0.6), roughness=0.6),
        (0.7, 0.7, 1.4),
        (-0.6, 0.6, 0.7),
        0.4,
    )
    _box(
        "Low",
        build.add_material("Low", base_color=(0.2, 0.3, 0.8), roughness=0.4),
        (0.7, 0.7, 0.6),
        (0.5, -0.2, 0.3),
        -0.3,
    )
    build.add_light("POINT", (0.6, -1.0, 2.6), energy=190.0, shadow_soft_size=0.1)
    return camera


def metal_pot() -> bpy.types.Object:
    """A pot of metal on a light table before a light wall under a sky."""
    camera = _corner(0.7)
    profile = np.array([(0.0, 0.01), (0.45, 0.01), (0.6, 0.3), (0.62, 0.6), (0.45, 0.9), (0.35, 1.05), (0.42, 1.2)])
    pot = build.grid(build.lathe_points(profile, 64), closed=True)
    build.add_mesh("Pot", [pot], [build.add_material("Pot", base_color=(0.95, 0.7, 0.45), metallic=1.0, roughness=0.3)])
    build.add_sphere(
        "Ball", build.add_material("Ball", base_color=(0.7, 0.1, 0.1), roughness=0.4), 0.3, (0.8, -0.6, 0.3)
    )
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.9, image=image)
    return camera


def shelf() -> bpy.types.Object:
    """A box that is open to the camera, lit by a panel in its ceiling: nearly all light has been reflected."""
    build.new_scene()
    paint = build.add_material("Paint", base_color=(0.8, 0.78, 0.74), roughness=0.8)
    h = 1.0
    for name, location, rotation in (
        ("Floor", (0, 0, 0), (0, 0, 0)), ("Ceiling", (0, 0, 2 * h), (math.pi, 0, 0)),
        ("Back", (0, h, h), (math.pi / 2, 0, 0)), ("Left", (-h, 0, h), (0, math.pi / 2, 0)),
        ("Right", (h, 0, h), (0, -math.pi / 2, 0)),
    ):  # fmt: skip
        build.add_plane(name, paint, 2 * h, location).rotation_euler = rotation
    panel = build.add_plane("Panel", _glowing("Panel", (1.0, 0.9, 0.75), 6.0), 0.6, (0.0, 0.2, 1.99))
    panel.rotation_euler = (math.pi, 0.0, 0.0)
    build.add_sphere(
        "Ball", build.add_material("Ball", base_color=(0.2, 0.4, 0.7), roughness=0.4), 0.4, (-0.35, 0.2, 0.4)
    )
    _box("Box", build.add_material("Box", base_color=(0.8, 0.8, 0.8)), (0.5, 0.5, 0.8), (0.4, 0.3, 0.4), 0.4)
    return build.add_camera("Camera", (0.0, -3.2, 1.0), (0.0, 0.0, 0.75), lens=62.0)


def far_table() -> bpy.types.Object:
    """Small things on a plane without end: what counts for them is near."""
    build.new_scene()
    build.add_plane("Ground", build.add_material("Ground", base_color=(0.7, 0.7, 0.7), roughness=0.8), size=200.0)
    for number, (x, y) in enumerate(((-0.06, 0.0), (0.06, 0.02), (0.0, -0.1))):
        look = {"base_color": [(0.8, 0.2, 0.1), (0.8, 0.8, 0.8), (0.1, 0.6, 0.3)][number], "roughness": 0.5}
        build.add_sphere(f"Ball {number}", build.add_material(f"Ball {number}", **look), 0.05, (x, y, 0.05))
    build.add_light("SUN", (1.0, -0.6, 1.6), energy=2.2, angle=0.05)
    build.set_world(bpy.context.scene, (0.7, 0.8, 1.0), strength=0.25)
    return build.add_camera("Camera", (0.25, -0.45, 0.3), (0.0, 0.0, 0.04), lens=60.0, clip_start=0.01)


INTERREFLECTION: dict[str, Case] = {
    "white_corner": Case(white_corner, FULL_LIGHT, 2048),
    "coloured_boxes": Case(coloured_boxes, FULL_LIGHT, 2048),
    "metal_pot": Case(metal_pot, FULL_LIGHT, 4096),
    "shelf": Case(shelf, FULL_LIGHT, 4096),
    "far_table": Case(far_table, FULL_LIGHT, 1024),
}
"""Surfaces that light each other, compared with full light transport."""
