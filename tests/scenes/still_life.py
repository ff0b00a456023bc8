# SPDX-License-Identifier: GPL-3.0-or-later
"""A painted pot with metal bands and handles on a table: the object of the demo and of the six-photo benchmark.

Geometry, texture coordinates and the true material maps are known, so that a fit can be judged texel by texel.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from scipy.interpolate import CubicSpline

from . import build

POT = "Pot"
GLAZE = "Glaze"
CAMERAS = tuple(f"View {i + 1}" for i in range(6))
HELD_OUT = tuple(f"Held out {i + 1}" for i in range(3))

# rectangles (u0, v0, u1, v1) of the texture; 1 % margins keep the islands apart
BODY = (0.01, 0.01, 0.99, 0.60)
LID = (0.01, 0.62, 0.99, 0.80)
HANDLES = ((0.01, 0.82, 0.49, 0.99), (0.51, 0.82, 0.99, 0.99))

_BODY_PROFILE = [
    (0.52, 0.0),
    (0.58, 0.07),
    (0.55, 0.14),
    (0.72, 0.33),
    (0.93, 0.66),
    (0.98, 0.98),
    (0.86, 1.30),
    (0.66, 1.52),
]
_LID_PROFILE = [
    (0.70, 1.52),
    (0.71, 1.57),
    (0.60, 1.66),
    (0.38, 1.76),
    (0.16, 1.82),
    (0.10, 1.88),
    (0.17, 1.97),
    (0.13, 2.06),
    (0.0, 2.09),
]


@dataclass
class Maps:
    """True material of the pot; [N, N, 3] linear base colour, [N, N] roughness and metallic, and where there is
    surface at all. Row 0 is the bottom row."""

    base_color: np.ndarray
    roughness: np.ndarray
    metallic: np.ndarray
    used: np.ndarray


def true_maps(size: int = 1024) -> Maps:
    """The painted material."""
    v, u = np.meshgrid(*[(np.arange(size) + 0.5) / size] * 2, indexing="ij")
    maps = Maps(
        np.full((size, size, 3), 0.5), np.full((size, size), 0.5), np.zeros((size, size)), np.zeros((size, size), bool)
    )

    def paint(where: np.ndarray, base: tuple[float, float, float], roughness: float, metallic: float = 0.0) -> None:
        maps.base_color[where] = base
        maps.roughness[where] = roughness
        maps.metallic[where] = metallic

    def local(
        rect: tuple[float, float, float, float], margin: float = 0.008
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        s, t = (u - rect[0]) / (rect[2] - rect[0]), (v - rect[1]) / (rect[3] - rect[1])
        inside = (u > rect[0] - margin) & (u < rect[2] + margin) & (v > rect[1] - margin) & (v < rect[3] + margin)
        maps.used |= (s >= 0) & (s <= 1) & (t >= 0) & (t <= 1)
        return inside, s, np.clip(t, 0.0, 1.0)

    inside, s, t = local(BODY)
    teal, cream, brick, ink = (0.03, 0.19, 0.22), (0.62, 0.54, 0.40), (0.42, 0.10, 0.05), (0.03, 0.05, 0.16)
    gold, bronze, steel = (0.88, 0.62, 0.25), (0.62, 0.36, 0.20), (0.60, 0.60, 0.62)
    paint(inside & (t < 0.11), bronze, 0.42, 1.0)
    lower = inside & (t >= 0.11) & (t < 0.42)
    paint(lower, teal, 0.24)
    paint(lower & (np.cos(2 * np.pi * 12 * s) > 0.3), cream, 0.38)
    paint(inside & (t >= 0.42) & (t < 0.48), gold, 0.30, 1.0)
    middle = inside & (t >= 0.48) & (t < 0.80)
    column, row = s * 20, (t - 0.48) / 0.32 * 4
    paint(middle, cream, 0.55)
    diamond = np.abs(column % 2 - 1) + np.abs(row % 2 - 1)
    paint(middle & (diamond < 0.62), brick, 0.65)
    paint(middle & (diamond < 0.26), gold, 0.34, 1.0)
    paint(middle & (diamond > 1.72), ink, 0.30)
    upper = inside & (t >= 0.80) & (t < 0.92)
    paint(upper, ink, 0.28)
    wave = (t - 0.86) / 0.05 - 0.7 * np.sin(2 * np.pi * 10 * s)
    paint(upper & (np.abs(wave) < 0.35), cream, 0.5)
    paint(inside & (t >= 0.92), steel, 0.36, 1.0)

    inside, s, t = local(LID)
    paint(inside, brick, 0.5)
    paint(inside & (np.cos(2 * np.pi * 8 * s) > 0.0) & (t < 0.62), teal, 0.26)
    paint(inside & (t < 0.09), steel, 0.36, 1.0)
    paint(inside & (t >= 0.62), gold, 0.32, 1.0)
    for rect in HANDLES:
        inside, s, t = local(rect)
        paint(inside, bronze, 0.40, 1.0)
        paint(inside & (np.abs(t - 0.5) < 0.17), ink, 0.45)

    # hand-made, not printed: slow variation of tone and polish
    cloud = sum(np.sin(2 * np.pi * (a * u + b * v) + c) for a, b, c in [(3, 5, 0.3), (-7, 4, 1.9), (11, 9, 4.0)]) / 3
    maps.base_color *= (1.0 + 0.12 * cloud)[..., None]
    maps.roughness += 0.03 * np.roll(cloud, size // 3, axis=1)
    return maps


def pot_points(columns: int = 192) -> list[np.ndarray]:
    """Grid points [rows, columns, 3] of body, lid and the two handles, closed in columns."""
    body = build.lathe_points(_smooth(_BODY_PROFILE, 120), columns)
    angle = 2 * np.pi * np.arange(columns) / columns
    height = body[..., 2]
    belly = np.clip((height - 0.2) / 0.15, 0, 1) * np.clip((0.72 - height) / 0.15, 0, 1)
    body[..., :2] *= (1.0 + 0.018 * belly * np.cos(12 * angle))[..., None]
    lid = build.lathe_points(_smooth(_LID_PROFILE, 80), columns)
    lid[-1, :, :2] = 0.0
    return [body, lid, _handle(1.0), _handle(-1.0)]


def _smooth(points: list[tuple[float, float]], count: int) -> np.ndarray:
    """A smooth profile through the points, evenly spaced along its length."""
    control = np.array(points)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=1))])
    curve = CubicSpline(length, control)(np.linspace(0, length[-1], count))
    curve[:, 0] = np.maximum(curve[:, 0], 0.0)
    return curve


def _handle(side: float, rows: int = 40, columns: int = 24) -> np.ndarray:
    """A tube that leaves the shoulder and comes back at the belly."""
    along = np.linspace(-0.25, 1.25, rows) * np.pi
    centre = np.stack([0.92 + 0.34 * np.sin(along), np.zeros(rows), 1.08 + 0.26 * np.cos(along)], axis=-1)
    forward = np.gradient(centre, axis=0)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    across = np.array([0.0, 1.0, 0.0])
    outward = np.cross(forward, across)
    phi = 2 * np.pi * np.arange(columns)[None, :, None] / columns
    ring = 0.075 * (np.cos(phi) * outward[:, None] - 1.3 * np.sin(phi) * across)
    points = centre[:, None] + ring
    if side < 0:  # half a turn about the axis of the pot
        points = points * np.array([-1.0, -1.0, 1.0])
    return points


def studio(directions: np.ndarray) -> np.ndarray:
    """Radiance of the surroundings: a dim room with two windows, a warm lamp and a dark floor."""
    x, y, z = np.moveaxis(directions, -1, 0)
    sky = np.clip(0.5 + 0.5 * z, 0, 1)[..., None]
    value = 0.10 + sky * np.array([0.26, 0.30, 0.38])
    value = np.where(z[..., None] < 0, np.array([0.16, 0.13, 0.10]) * (1 + 0.6 * z[..., None]), value)

    def window(azimuth: float, width: float, low: float, high: float, color: tuple[float, float, float]) -> np.ndarray:
        turned = (np.arctan2(y, x) - np.radians(azimuth) + np.pi) % (2 * np.pi) - np.pi
        edge = 0.05
        inside = np.clip((width / 2 - np.abs(turned)) / edge, 0, 1) * np.clip((z - low) / edge, 0, 1)
        return (inside * np.clip((high - z) / edge, 0, 1))[..., None] * np.array(color)

    value = value + window(150, 0.7, 0.15, 0.75, (2.6, 3.0, 3.6)) + window(-75, 0.45, 0.1, 0.6, (1.6, 1.5, 1.4))
    lamp = np.array([np.cos(0.4) * np.cos(0.5), np.cos(0.4) * np.sin(0.5), np.sin(0.4)])
    return value + np.exp(80 * (directions @ lamp - 1))[..., None] * np.array([5.0, 3.4, 1.9])


def build_still_life(maps: Maps | None) -> bpy.types.Scene:
    """The scene with nine cameras, an area light and an environment; ``maps`` None gives the grey start material."""
    scene = build.new_scene("AgX")
    table = build.add_material("Table", base_color=(0.28, 0.25, 0.22), roughness=0.6)
    if maps is None:
        glaze = build.add_material(GLAZE, base_color=(0.5, 0.5, 0.5))
    else:
        images = {
            "base_color": build.add_image("Glaze colour", build.encode_srgb(maps.base_color), "sRGB"),
            "roughness": build.add_image("Glaze roughness", maps.roughness[..., None], "Non-Color"),
            "metallic": build.add_image("Glaze metallic", maps.metallic[..., None], "Non-Color"),
        }
        glaze = build.add_material(GLAZE, maps=images)
    build.add_plane("Table", table, size=9.0)
    rectangles = (BODY, LID, *HANDLES)
    parts = [build.grid(p, closed=True, uv=uv) for p, uv in zip(pot_points(), rectangles, strict=True)]
    build.add_mesh(POT, parts, [glaze])
    build.add_light(
        "AREA",
        (2.6, -2.8, 4.2),
        (0.0, 0.0, 0.9),
        name="Key",
        energy=280.0,
        color=(1.0, 0.93, 0.84),
        shape="RECTANGLE",
        size=2.4,
        size_y=1.6,
    )
    surroundings = build.add_image("Studio", build.environment_pixels(studio), "Linear Rec.709", is_float=True)
    build.set_world(scene, strength=1.0, image=surroundings)
    for number, name in enumerate(CAMERAS):
        _camera(name, 15 + 60 * number, (18, 42)[number % 2])
    for number, name in enumerate(HELD_OUT):
        _camera(name, 50 + 120 * number, (25, 33, 48)[number])
    return scene


def _camera(name: str, azimuth: float, elevation: float) -> None:
    a, e = np.radians(azimuth), np.radians(elevation)
    offset = 5.6 * np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    build.add_camera(name, tuple(offset + np.array([0.0, 0.0, 0.98])), (0.0, 0.0, 0.98), lens=70.0)
