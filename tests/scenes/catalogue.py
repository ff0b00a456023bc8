# SPDX-License-Identifier: GPL-3.0-or-later
"""The scenes on which the engine's pictures are compared with those of Cycles.

Each stresses one thing. A builder makes the scene in Blender and returns its camera; all are lit so that an sRGB
picture without exposure is neither dark nor clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import bpy
import numpy as np

from . import build
from .still_life import build_still_life, true_maps

EXACT = 45.0  # dB wanted of the sRGB-encoded picture where nothing but the formulas decides
NOISY = 40.0  # dB wanted where the sampling noise of large lights or of the environment rules
LAYERS_EXACT = 50.0  # dB wanted of coat, sheen and anisotropy under lights of little size
ONE_BOUNCE = 34.0  # dB wanted against full light transport, with one bounce of indirect light


@dataclass(frozen=True)
class Case:
    """A scene, the decibels wanted of it and the samples a pixel with which Cycles converges on it."""

    build: Callable[[], bpy.types.Object]
    floor: float
    samples: int = 512
    aspect: float = 1.0  # width / height


def stage(**ball: Any) -> bpy.types.Object:
    """A smooth ball on a plane, no light yet; ``ball`` describes its material. Returns the camera."""
    build.new_scene()
    build.add_plane("Plane", build.add_material("Plane", base_color=(0.5, 0.5, 0.5), roughness=0.6))
    build.add_sphere("Ball", build.add_material("Ball", **({"base_color": (0.6, 0.12, 0.08), "roughness": 0.4} | ball)))
    return build.add_camera("Camera", (2.2, -4.6, 3.0), (0.0, 0.0, 0.7), lens=45.0)


def dress(name: str, **look: Any) -> None:
    """Give the object another material (images can only be made once the scene is there)."""
    slots = bpy.data.objects[name].data.materials
    bpy.data.materials.remove(slots[0])
    slots[0] = build.add_material(name, **look)


def point_hard() -> bpy.types.Object:
    camera = stage()
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, color=(1.0, 0.9, 0.8), shadow_soft_size=0.0)
    return camera


def point_soft() -> bpy.types.Object:
    camera = stage()
    build.add_light("POINT", (2.2, -1.2, 3.2), energy=420.0, shadow_soft_size=0.5)
    return camera


def point_sphere() -> bpy.types.Object:
    camera = stage()
    build.add_light("POINT", (2.2, -1.2, 3.2), energy=420.0, shadow_soft_size=0.5, use_soft_falloff=False)
    return camera


def sun() -> bpy.types.Object:
    camera = stage()
    build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.6, color=(1.0, 0.95, 0.85), angle=0.12)
    return camera


def spot() -> bpy.types.Object:
    camera = stage()
    settings = {"energy": 1100.0, "spot_size": 0.8, "spot_blend": 0.5, "shadow_soft_size": 0.1}
    build.add_light("SPOT", (2.0, -2.2, 4.0), (0.0, 0.0, 0.6), **settings)
    return camera


def area_rectangle() -> bpy.types.Object:
    camera = stage()
    light = build.add_light("AREA", (2.0, -2.0, 3.2), energy=260.0, shape="RECTANGLE", size=1.6, size_y=0.6)
    light.scale = (1.0, 1.3, 1.0)
    return camera


def area_disk_spread() -> bpy.types.Object:
    camera = stage()
    build.add_light("AREA", (-1.6, -2.0, 3.4), energy=85.0, shape="DISK", size=1.2, spread=1.6)
    return camera


def daylight(directions: np.ndarray) -> np.ndarray:
    """A sky with a soft sun, and ground."""
    sun_direction = np.array([0.5, -0.6, 0.62])
    lobe = np.exp(120.0 * (directions @ (sun_direction / np.linalg.norm(sun_direction)) - 1.0))
    height = directions[..., 2:]
    sky = np.where(height > 0, np.array([0.18, 0.26, 0.42]) * (1.2 - 0.6 * height), np.array([0.12, 0.10, 0.08]))
    return sky + lobe[..., None] * np.array([30.0, 26.0, 20.0])


def environment() -> bpy.types.Object:
    camera = stage()
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.9, image=image, rotation=(0.1, 0.2, 0.7))
    return camera


def world_constant() -> bpy.types.Object:
    camera = stage()
    build.set_world(bpy.context.scene, (0.9, 0.8, 0.7), strength=0.7)
    return camera


def dielectric() -> bpy.types.Object:
    """Three balls from polished to matt, of different index, level and tint."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    looks: list[dict[str, Any]] = [
        {"base_color": (0.05, 0.15, 0.5), "roughness": 0.15, "ior": 1.8},
        {"base_color": (0.1, 0.4, 0.12), "roughness": 0.35, "specular_level": 0.9, "specular_tint": (1.0, 0.6, 0.3)},
        {"base_color": (0.7, 0.5, 0.1), "roughness": 0.8, "specular_level": 0.2},
    ]
    for number, look in enumerate(looks):
        material = build.add_material(f"Ball {number}", **look)
        build.add_sphere(f"Ball {number}", material, 0.6, (1.3 * (number - 1), 0.2 * number, 0.6))
    build.add_light("POINT", (1.8, -2.4, 3.0), energy=380.0, shadow_soft_size=0.3)
    build.set_world(bpy.context.scene, strength=0.12)
    return camera


def _metal(roughness: float) -> bpy.types.Object:
    look = {"base_color": (0.9, 0.62, 0.3), "metallic": 1.0, "specular_tint": (0.9, 0.8, 1.0)}
    camera = stage(roughness=roughness, **look)
    build.add_light("AREA", (2.0, -2.0, 3.2), energy=140.0, shape="SQUARE", size=1.5)
    build.set_world(bpy.context.scene, (0.5, 0.6, 0.8), strength=0.4)
    return camera


def metal_glossy() -> bpy.types.Object:
    return _metal(0.2)


def metal_rough() -> bpy.types.Object:
    return _metal(0.5)


def textured() -> bpy.types.Object:
    """Base colour in 8-bit sRGB, roughness and metallic maps, all through a Mapping node."""
    camera = stage()
    random = np.random.default_rng(7)
    blocks = np.kron(random.uniform(0.05, 0.8, (16, 32, 3)), np.ones((4, 4, 1)))
    rough = np.kron(random.uniform(0.2, 0.9, (8, 16, 1)), np.ones((8, 8, 1)))
    metal = np.kron(random.integers(0, 2, (4, 8, 1)).astype(float), np.ones((16, 16, 1)))
    maps = {
        "base_color": build.add_image("Colour", build.encode_srgb(blocks), "sRGB"),
        "roughness": build.add_image("Roughness", rough, "Non-Color"),
        "metallic": build.add_image("Metallic", metal, "Non-Color"),
    }
    mapping = {"Location": (0.1, 0.25, 0.0), "Rotation": (0.0, 0.0, 0.3), "Scale": (1.5, 0.8, 1.0)}
    dress("Ball", maps=maps, mapping=mapping)
    dress("Plane", maps={"base_color": maps["base_color"]}, extension="MIRROR", mapping={"Scale": (2.0, 1.0, 1.0)})
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=420.0, shadow_soft_size=0.1)
    build.set_world(bpy.context.scene, strength=0.15)
    return camera


def normal_pixels(size: int = 128, waves: int = 12, slope: float = 0.9) -> np.ndarray:
    """A tangent-space normal map of crossed waves [N, N, 3], encoded to [0, 1], green up."""
    v, u = np.meshgrid(*[(np.arange(size) + 0.5) / size * 2 * np.pi * waves] * 2, indexing="ij")
    normal = np.stack([slope * np.cos(u), slope * np.sin(0.5 * v + u), np.ones_like(u)], axis=-1)
    return 0.5 + 0.5 * normal / np.linalg.norm(normal, axis=-1, keepdims=True)


def normal_mapped() -> bpy.types.Object:
    camera = stage()
    image = build.add_image("Normal", normal_pixels(), "Non-Color")
    dress("Ball", normal=image, normal_strength=0.8, base_color=(0.6, 0.3, 0.1), roughness=0.35)
    dress("Plane", normal=image, normal_strength=0.5, mapping={"Scale": (3.0, 3.0, 1.0)})
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, shadow_soft_size=0.1)
    return camera


def materials_and_instances() -> bpy.types.Object:
    """One mesh with three materials, an object that shares a mesh, and an instanced collection."""
    camera = stage(base_color=(0.2, 0.3, 0.6))
    bands = [
        build.add_material("Lower", base_color=(0.7, 0.6, 0.2), metallic=1.0, roughness=0.4),
        build.add_material("Middle", base_color=(0.1, 0.5, 0.4), roughness=0.3),
        build.add_material("Upper", base_color=(0.8, 0.8, 0.8), roughness=0.7),
    ]
    points = build.sphere_points(0.5, rows=48, columns=96)
    parts = [build.grid(points[i : i + 17], closed=True) for i in (0, 16, 32)]
    build.add_mesh("Bands", parts, bands, location=(-1.4, -0.9, 0.5), part_materials=(0, 1, 2))
    shared = build.link(bpy.data.objects.new("Small ball", bpy.data.objects["Ball"].data), (1.3, -1.2, 0.35))
    shared.scale = (0.35, 0.35, 0.35)
    collection = bpy.data.collections.new("Pair")
    for number in range(2):
        obj = bpy.data.objects.new(f"Member {number}", bpy.data.objects["Bands"].data)
        obj.location, obj.scale = (0.8 * number, 0.0, 0.0), (0.6, 0.6, 0.6)
        collection.objects.link(obj)
    empty = build.link(bpy.data.objects.new("Instance", None), (1.2, 0.6, 0.3))
    empty.instance_type, empty.instance_collection = "COLLECTION", collection
    empty.rotation_euler = (0.3, 0.0, 0.5)
    build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.4, angle=0.03)
    build.set_world(bpy.context.scene, strength=0.2)
    return camera


def shifted_portrait() -> bpy.types.Object:
    camera = stage()
    camera.data.shift_x, camera.data.shift_y, camera.data.lens = 0.12, -0.18, 42.0
    build.add_light("POINT", (1.8, -2.0, 3.6), energy=420.0, shadow_soft_size=0.1)
    build.set_world(bpy.context.scene, strength=0.1)
    return camera


def orthographic() -> bpy.types.Object:
    camera = stage()
    camera.data.type, camera.data.ortho_scale, camera.data.sensor_fit = "ORTHO", 4.2, "VERTICAL"
    build.add_light("AREA", (2.0, -2.0, 3.2), energy=200.0, shape="DISK", size=0.8)
    return camera


COATS: list[dict[str, Any]] = [
    {"base_color": (0.5, 0.06, 0.04), "roughness": 0.5, "coat_weight": 1.0, "coat_roughness": 0.2},
    {"base_color": (0.9, 0.6, 0.3), "metallic": 1.0, "roughness": 0.4, "coat_weight": 0.6, "coat_roughness": 0.35,
     "coat_ior": 1.9, "coat_tint": (0.9, 0.5, 0.3)},
    {"base_color": (0.1, 0.3, 0.6), "roughness": 0.8, "coat_weight": 0.8, "coat_roughness": 0.7, "coat_ior": 1.3},
]  # fmt: skip
SHEENS: list[dict[str, Any]] = [
    {"base_color": (0.3, 0.03, 0.06), "roughness": 0.8, "sheen_weight": 1.0, "sheen_roughness": 0.3},
    {"base_color": (0.05, 0.1, 0.3), "roughness": 0.6, "sheen_weight": 0.7, "sheen_roughness": 0.7,
     "sheen_tint": (0.9, 0.6, 0.2)},
    {"base_color": (0.1, 0.1, 0.1), "roughness": 0.5, "sheen_weight": 0.8, "sheen_roughness": 0.5, "coat_weight": 0.5,
     "coat_roughness": 0.3, "sheen_tint": (0.4, 0.8, 1.0)},
]  # fmt: skip
GRAINS: list[dict[str, Any]] = [
    {"base_color": (0.9, 0.6, 0.3), "metallic": 1.0, "roughness": 0.4, "anisotropic": 0.7},
    {"base_color": (0.1, 0.2, 0.5), "roughness": 0.35, "anisotropic": 0.9, "anisotropic_rotation": 0.1,
     "tangent": "UV"},
    {"base_color": (0.7, 0.7, 0.7), "metallic": 0.7, "roughness": 0.6, "anisotropic": 0.5, "tangent": "X",
     "coat_weight": 0.5, "coat_roughness": 0.3},
]  # fmt: skip


def _layered(looks: list[dict[str, Any]], light: str) -> bpy.types.Object:
    """Three balls under one kind of light."""
    camera = stage()
    bpy.data.objects.remove(bpy.data.objects["Ball"])
    for number, look in enumerate(looks):
        material = build.add_material(f"Ball {number}", **look)
        build.add_sphere(f"Ball {number}", material, 0.6, (1.3 * (number - 1), 0.2 * number, 0.6))
    if light == "POINT":
        build.add_light("POINT", (1.8, -2.0, 3.6), energy=450.0, shadow_soft_size=0.0)
    elif light == "SPOT":
        settings = {"energy": 1100.0, "spot_size": 1.0, "spot_blend": 0.5, "shadow_soft_size": 0.0}
        build.add_light("SPOT", (2.0, -2.2, 4.0), (0.0, 0.0, 0.6), **settings)
    elif light == "SUN":
        build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.6, angle=0.12)
    elif light == "AREA":
        build.add_light("AREA", (-2.0, -2.0, 3.2), energy=200.0, shape="RECTANGLE", size=1.6, size_y=0.8)
    else:
        image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
        build.set_world(bpy.context.scene, strength=0.9, image=image)
    return camera


def layered_cases(name: str, looks: list[dict[str, Any]]) -> dict[str, Case]:
    """A case for each kind of light."""
    cases = {
        f"{name}_{light.lower()}": Case(partial(_layered, looks, light), LAYERS_EXACT, samples=samples)
        for light, samples in (("POINT", 512), ("SPOT", 512), ("SUN", 1024))
    }
    for light, samples in (("AREA", 2048), ("ENVIRONMENT", 4096)):
        cases[f"{name}_{light.lower()}"] = Case(partial(_layered, looks, light), EXACT, samples=samples)
    return cases


LAYERED: dict[str, Case] = (
    layered_cases("coat", COATS) | layered_cases("sheen", SHEENS) | layered_cases("grain", GRAINS)
)
"""Coat, sheen and anisotropy, compared without indirect light on small pictures."""

DIRECT: dict[str, Case] = {
    "point_hard": Case(point_hard, EXACT),
    "point_soft": Case(point_soft, EXACT),
    "point_sphere": Case(point_sphere, EXACT),
    "sun": Case(sun, EXACT),
    "spot": Case(spot, EXACT),
    "area_rectangle": Case(area_rectangle, EXACT),
    "area_disk_spread": Case(area_disk_spread, NOISY),
    "environment": Case(environment, NOISY, 2048),
    "world_constant": Case(world_constant, NOISY, 1024),
    "dielectric": Case(dielectric, NOISY, 1024),
    "metal_glossy": Case(metal_glossy, NOISY, 1024),
    "metal_rough": Case(metal_rough, NOISY, 1024),
    "textured": Case(textured, NOISY),
    "normal_mapped": Case(normal_mapped, EXACT),
    "materials_and_instances": Case(materials_and_instances, NOISY),
    "shifted_portrait": Case(shifted_portrait, NOISY, aspect=0.75),
    "orthographic": Case(orthographic, EXACT),
}
"""Compared without indirect light."""


def _on_table(**ball: Any) -> bpy.types.Object:
    """A ball on a mid-grey (18 %) table under a key light and a dim world."""
    camera = stage(**ball)
    dress("Plane", base_color=(0.18, 0.18, 0.18), roughness=0.6)
    build.add_light("AREA", (2.0, -2.0, 3.2), energy=280.0, shape="SQUARE", size=1.2)
    build.set_world(bpy.context.scene, strength=0.3)
    return camera


def table_dielectric() -> bpy.types.Object:
    return _on_table()


def table_metal() -> bpy.types.Object:
    return _on_table(base_color=(0.9, 0.62, 0.3), metallic=1.0, roughness=0.3)


def table_pot() -> bpy.types.Object:
    """The painted pot of the six-photo benchmark on its table."""
    build_still_life(true_maps(512)).view_settings.view_transform = "Standard"
    return bpy.data.objects["View 1"]


FULL: dict[str, Case] = {
    "table_dielectric": Case(table_dielectric, ONE_BOUNCE, 1024),
    "table_metal": Case(table_metal, ONE_BOUNCE, 4096),
    "table_pot": Case(table_pot, ONE_BOUNCE, 1024),
}
"""Compared with full light transport."""
