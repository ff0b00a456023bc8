# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten scenes of everyday things, compared with Cycles' full light transport."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import bpy
import numpy as np

from . import build
from .catalogue import Case, daylight
from .catalogue_scene import blocks
from .still_life import build_still_life, studio, true_maps

WORST = 34.0  # dB wanted of each
MEDIAN = 40.0  # dB wanted of half of them

Vec3 = build.Vec3


def add_box(name: str, material: bpy.types.Material, size: Vec3, location: Vec3, turn: float = 0.0) -> None:
    """A box that stands on ``location``, turned about the vertical; each side shows the whole texture."""
    x, y, z = size[0] / 2, size[1] / 2, size[2]
    ring = [(-x, -y), (x, -y), (x, y), (-x, y), (-x, -y)]
    sides = [np.array([[(*a, 0.0), (*b, 0.0)], [(*a, z), (*b, z)]]) for a, b in pairwise(ring)]
    sides.append(np.array([[(-x, -y, z), (x, -y, z)], [(-x, y, z), (x, y, z)]]))
    sides.append(np.array([[(-x, y, 0.0), (x, y, 0.0)], [(-x, -y, 0.0), (x, -y, 0.0)]]))
    box = build.add_mesh(name, [build.grid(side) for side in sides], [material], smooth=False, location=location)
    box.rotation_euler = (0.0, 0.0, turn)


def turned(name: str, material: bpy.types.Material, profile: list[tuple[float, float]], location: Vec3) -> None:
    """A thing turned on a lathe: (radius, height) from bottom to top."""
    points = build.lathe_points(np.array(profile), 64)
    build.add_mesh(name, [build.grid(points, closed=True)], [material], location=location)


def can(name: str, side: bpy.types.Material, lid: bpy.types.Material, location: Vec3, radius: float, h: float) -> None:
    """A cylinder with a label on its side and rims of metal."""
    profiles = [[(radius, 0.04), (radius, h - 0.04)], [(radius, h - 0.04), (radius + 0.02, h), (radius - 0.03, h)],
                [(radius - 0.03, h), (radius - 0.03, h - 0.03)], [(radius - 0.03, h - 0.03), (0.0, h - 0.03)],
                [(radius - 0.02, 0.0), (radius + 0.02, 0.0), (radius, 0.04)]]  # fmt: skip
    parts = [build.grid(build.lathe_points(np.array(profile), 64), closed=True) for profile in profiles]
    build.add_mesh(name, parts, [side, lid], location=location, part_materials=(0, 1, 1, 1, 1))


def _table(base_color: Vec3 = (0.35, 0.28, 0.2), size: float = 12.0, **look: Any) -> bpy.types.Object:
    """A table without end; no light yet. Returns the camera."""
    build.new_scene()
    build.add_plane("Table", build.add_material("Table", base_color=base_color, **({"roughness": 0.5} | look)), size)
    return build.add_camera("Camera", (1.6, -4.4, 2.6), (0.0, 0.0, 0.5), lens=50.0)


def _key(energy: float = 260.0, size: float = 1.4, world: float = 0.25) -> None:
    build.add_light("AREA", (2.2, -2.0, 3.4), energy=energy, shape="SQUARE", size=size, color=(1.0, 0.94, 0.86))
    build.set_world(bpy.context.scene, (0.8, 0.9, 1.0), strength=world)


def _walls(left: Vec3, back: Vec3, floor: Vec3) -> bpy.types.Object:
    """The corner of a room; no light yet. Returns the camera."""
    build.new_scene()
    for name, color, location, rotation in (
        ("Floor", floor, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ("Back", back, (0.0, 1.5, 2.0), (math.pi / 2, 0.0, 0.0)),
        ("Left", left, (-1.6, 0.0, 2.0), (0.0, math.pi / 2, 0.0)),
    ):
        wall = build.add_plane(name, build.add_material(name, base_color=color, roughness=0.8), 6.0, location)
        wall.rotation_euler = rotation
    return build.add_camera("Camera", (2.6, -3.8, 2.2), (-0.3, 0.2, 0.7), lens=42.0)


def pot() -> bpy.types.Object:
    """The painted pot of the six-photo benchmark."""
    build_still_life(true_maps(512)).view_settings.view_transform = "Standard"
    return bpy.data.objects["View 1"]


def cloth() -> bpy.types.Object:
    """A folded sheet of velvet with a ball on it."""
    camera = _table()
    y, x = np.meshgrid(*[np.linspace(-1.3, 1.3, 97)] * 2, indexing="ij")
    folds = 0.09 * np.sin(5 * x + 2 * np.sin(1.7 * y)) + 0.05 * np.sin(4 * y - 3 * x)
    height = 0.2 + folds * np.clip(np.hypot(x, y) - 0.25, 0, 1)
    look = {"base_color": (0.25, 0.03, 0.08), "roughness": 0.8, "sheen_weight": 0.6, "sheen_roughness": 0.4}
    build.add_mesh(
        "Cloth", [build.grid(np.stack([x, y, height], axis=-1))], [build.add_material("Velvet", **look)]
    ).rotation_euler = (0.0, 0.0, 0.3)
    build.add_sphere("Ball", build.add_material("Ivory", base_color=(0.7, 0.65, 0.5), roughness=0.3), 0.4, (0, 0, 0.6))
    _key()
    return camera


def tins() -> bpy.types.Object:
    """Two cans of metal, one with a paper label."""
    camera = _table((0.3, 0.3, 0.32))
    steel = build.add_material("Steel", base_color=(0.75, 0.74, 0.72), metallic=1.0, roughness=0.28)
    label = build.add_image("Label", build.encode_srgb(blocks(2, 6, 16, 8, 0.05, 0.8)), "sRGB")
    paper = build.add_material("Label", maps={"base_color": label}, roughness=0.5)
    can("Can", paper, steel, (-0.5, 0.0, 0.0), 0.5, 1.2)
    ribs = [(0.4, 0.01)] + [(0.4 + 0.012 * math.sin(1.6 * i), 0.02 + 0.013 * i) for i in range(60)]
    turned("Bare can", steel, [(0.0, 0.01), *ribs, (0.37, 0.8), (0.0, 0.79)], (0.75, -0.4, 0.0))
    _key()
    return camera


def toys() -> bpy.types.Object:
    """Glossy plastic: bricks, a ball, a ring stack, some under clear coat."""
    camera = _table((0.6, 0.58, 0.52), roughness=0.3)
    plastic = [
        build.add_material(f"Plastic {i}", base_color=color, roughness=0.15 + 0.1 * i, coat_weight=float(i == 2))
        for i, color in enumerate([(0.6, 0.03, 0.03), (0.05, 0.2, 0.6), (0.7, 0.5, 0.04), (0.05, 0.4, 0.1)])
    ]
    add_box("Brick", plastic[0], (0.9, 0.45, 0.35), (-0.8, 0.2, 0.0), 0.4)
    add_box("Brick 2", plastic[1], (0.6, 0.45, 0.35), (-0.75, 0.2, 0.35), 0.1)
    build.add_sphere("Ball", plastic[2], 0.42, (0.35, -0.4, 0.42))
    rings = [(0.0, 0.0)]
    for i, radius in enumerate((0.45, 0.38, 0.3)):
        angle = np.linspace(-math.pi / 2, math.pi / 2, 9)
        rings += [(radius - 0.1 + 0.1 * math.cos(a), 0.1 + 0.2 * i + 0.1 * math.sin(a)) for a in angle]
    turned("Rings", plastic[3], [*rings, (0.06, 0.6), (0.06, 0.8), (0.0, 0.82)], (0.7, 0.7, 0.0))
    _key()
    return camera


def books() -> bpy.types.Object:
    """A pile of books with printed covers and white pages, one that leans."""
    camera = _table((0.2, 0.1, 0.06), roughness=0.35)
    pages = build.add_material("Pages", base_color=(0.75, 0.72, 0.62), roughness=0.9)
    for i in range(4):
        cover = build.add_image(f"Cover {i}", build.encode_srgb(blocks(10 + i, 5, 4, 12, 0.03, 0.6)), "sRGB")
        print_ = build.add_material(f"Cover {i}", maps={"base_color": cover}, roughness=0.4)
        z, turn, shift = 0.22 * i, 0.25 * (-1) ** i + 0.1 * i, 0.06 * (-1) ** i
        add_box(f"Pages {i}", pages, (1.1, 0.8, 0.16), (shift - 0.1, 0.02, z + 0.03), turn)
        for k, level in enumerate((0.0, 0.19)):
            add_box(f"Board {i} {k}", print_, (1.16, 0.86, 0.03), (shift - 0.1, 0.0, z + level), turn)
    _key(220.0, 1.0)
    return camera


def white_room() -> bpy.types.Object:
    """White things in a white corner."""
    white = (0.8, 0.8, 0.8)
    camera = _walls(white, white, white)
    plaster = build.add_material("Plaster", base_color=white, roughness=0.7)
    build.add_sphere("Ball", plaster, 0.5, (-0.7, 0.4, 0.5))
    add_box("Cube", plaster, (0.7, 0.7, 0.7), (0.4, 0.2, 0.0), 0.5)
    turned("Cone", plaster, [(0.0, 0.0), (0.35, 0.0), (0.0, 0.9)], (-0.3, -0.7, 0.0))
    build.add_light("AREA", (2.0, -2.0, 3.2), (-0.3, 0.2, 0.3), energy=130.0, shape="SQUARE", size=1.0)
    build.set_world(bpy.context.scene, strength=0.05)
    return camera


def coloured_room() -> bpy.types.Object:
    """A red and a green wall colour what stands between them."""
    camera = _walls((0.7, 0.08, 0.06), (0.1, 0.45, 0.12), (0.7, 0.7, 0.7))
    build.add_sphere(
        "Ball", build.add_material("Ball", base_color=(0.8, 0.8, 0.8), roughness=0.6), 0.5, (-0.8, 0.6, 0.5)
    )
    add_box("Box", build.add_material("Box", base_color=(0.75, 0.72, 0.6), roughness=0.5), (0.6, 0.6, 1.1),
            (0.3, 0.3, 0.0), 0.4)  # fmt: skip
    build.add_light("POINT", (0.8, -1.4, 2.8), energy=230.0, shadow_soft_size=0.2)
    build.set_world(bpy.context.scene, strength=0.05)
    return camera


def window() -> bpy.types.Object:
    """A closed room, lit by the sky through its window: an area light in the wall."""
    build.new_scene()
    paint = build.add_material("Paint", base_color=(0.72, 0.68, 0.6), roughness=0.85)
    wood = build.add_material("Wood", base_color=(0.3, 0.18, 0.1), roughness=0.4)
    for name, location, rotation in (
        ("Ceiling", (0.0, 0.0, 2.6), (math.pi, 0.0, 0.0)),
        ("Back", (0.0, 2.0, 1.0), (math.pi / 2, 0.0, 0.0)),
        ("Front", (0.0, -3.2, 1.0), (-math.pi / 2, 0.0, 0.0)),
        ("Left", (-2.0, 0.0, 1.0), (0.0, math.pi / 2, 0.0)),
        ("Right", (2.0, 0.0, 1.0), (0.0, -math.pi / 2, 0.0)),
    ):
        build.add_plane(name, paint, 8.0, location).rotation_euler = rotation
    build.add_plane("Floor", wood, 8.0)
    add_box("Table", wood, (1.6, 1.0, 0.7), (-0.1, 0.6, 0.0))
    build.add_sphere("Apple", build.add_material("Apple", base_color=(0.5, 0.06, 0.03), roughness=0.25), 0.2,
                     (-0.4, 0.4, 0.9))  # fmt: skip
    glaze = build.add_material("Vase", base_color=(0.15, 0.3, 0.45), roughness=0.2)
    turned("Vase", glaze, [(0.0, 0.0), (0.15, 0.0), (0.26, 0.25), (0.2, 0.5), (0.1, 0.65), (0.15, 0.75)],
           (0.25, 0.7, 0.7))  # fmt: skip
    build.add_light("AREA", (-1.95, 0.0, 1.5), (2.0, 0.0, 1.1), energy=150.0, shape="RECTANGLE", size=1.4, size_y=1.1,
                    color=(0.85, 0.93, 1.0))  # fmt: skip
    return build.add_camera("Camera", (1.1, -2.6, 1.6), (-0.1, 0.6, 0.75), lens=32.0)


def outdoors() -> bpy.types.Object:
    """Stone, metal and paint under a bright sky with a sun."""
    camera = _table((0.32, 0.3, 0.26), roughness=0.9)
    turned("Jug", build.add_material("Clay", base_color=(0.5, 0.22, 0.1), roughness=0.6),
           [(0.0, 0.0), (0.3, 0.0), (0.55, 0.4), (0.5, 0.8), (0.25, 1.1), (0.3, 1.25)], (-0.6, 0.1, 0.0))  # fmt: skip
    build.add_sphere("Copper", build.add_material("Copper", base_color=(0.9, 0.5, 0.35), metallic=1.0, roughness=0.3),
                     0.4, (0.5, -0.5, 0.4))  # fmt: skip
    add_box("Stone", build.add_material("Stone", base_color=(0.5, 0.5, 0.47), roughness=0.95), (0.8, 0.5, 0.5),
            (0.7, 0.6, 0.0), 0.5)  # fmt: skip
    image = build.add_image("Daylight", build.environment_pixels(daylight), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=1.0, image=image)
    return camera


def tea() -> bpy.types.Object:
    """A cup on a saucer and a spoon-like bar of silver in a studio of windows."""
    camera = _table((0.45, 0.42, 0.36))
    china = build.add_material("China", base_color=(0.78, 0.77, 0.72), roughness=0.12)
    outside = [(0.0, 0.08), (0.25, 0.08), (0.45, 0.35), (0.55, 0.75)]
    turned("Cup", china, [*outside, (0.52, 0.76), (0.42, 0.37), (0.22, 0.13), (0.0, 0.12)], (-0.1, 0.1, 0.0))
    turned("Saucer", china, [(0.0, 0.02), (0.4, 0.02), (0.85, 0.14), (0.84, 0.16), (0.4, 0.06), (0.0, 0.06)],
           (-0.1, 0.1, 0.0))  # fmt: skip
    silver = build.add_material("Silver", base_color=(0.92, 0.9, 0.88), metallic=1.0, roughness=0.25)
    add_box("Spoon", silver, (0.9, 0.1, 0.05), (0.7, -0.8, 0.0), 0.5)
    image = build.add_image("Studio", build.environment_pixels(studio), "Linear Rec.709", is_float=True)
    build.set_world(bpy.context.scene, strength=0.9, image=image)
    return camera


TABLETOP: dict[str, Case] = {
    builder.__name__: Case(builder, WORST, 1024)
    for builder in (pot, cloth, tins, toys, books, white_room, coloured_room, window, outdoors, tea)
}
"""Compared with full light transport."""
