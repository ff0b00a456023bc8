# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's lights and world as sums over directions, in plain numpy float64 (docs/blender-image-formation.md §2).

Every function answers for one shading point with ``(directions [n, 3], weights [n, 3])``: unit vectors towards the
light and radiance times solid angle, so that reflected radiance = Σ f·cos(direction) · weight, without shadows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.engine.scene import Light

Array = NDArray[np.float64]


def light_samples(light: Light, point: ArrayLike, count: int = 1024) -> tuple[Array, Array]:
    """Directions and weights of one light seen from ``point`` [3]."""
    p = np.asarray(point, np.float64)
    power = light.energy * np.asarray(light.color, np.float64) * np.asarray(light.multiplier, np.float64)
    sample = {"POINT": _ball, "SPOT": _spot, "SUN": _sun, "AREA": _area}[light.kind]
    directions, factors = sample(light, p, count)
    return directions, factors[:, None] * power


def world_samples(radiance: ArrayLike, rotation: ArrayLike | None = None, rows: int = 256) -> tuple[Array, Array]:
    """Directions and weights of an environment: constant colour [3] or equirectangular [H, W, 3], row 0 at the bottom.

    ``rotation`` takes world directions to lookup directions.
    """
    theta = np.pi * ((np.arange(rows) + 0.5) / rows - 0.5)
    phi = 2 * np.pi * (np.arange(2 * rows) + 0.5) / (2 * rows)
    t, f = (x.ravel() for x in np.meshgrid(theta, phi, indexing="ij"))
    directions = np.stack([np.cos(t) * np.cos(f), np.cos(t) * np.sin(f), np.sin(t)], axis=-1)
    solid_angle = np.cos(t) * (np.pi / rows) ** 2
    values = np.asarray(radiance, np.float64)
    if values.ndim == 3:
        looked = directions if rotation is None else directions @ np.asarray(rotation, np.float64).T
        values = environment(values, looked)
    return directions, values * solid_angle[:, None]


def environment(image: ArrayLike, directions: ArrayLike) -> Array:
    """Bilinear lookup of an equirectangular image [H, W, C] for unit directions [..., 3]; wraps both ways."""
    pixels, d = np.asarray(image, np.float64), np.asarray(directions, np.float64)
    height, width = pixels.shape[:2]
    x = (0.5 - np.arctan2(d[..., 1], d[..., 0]) / (2 * np.pi)) * width - 0.5
    y = (0.5 + np.arcsin(np.clip(d[..., 2], -1, 1)) / np.pi) * height - 0.5
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    fy, fx = (y - i)[..., None], (x - j)[..., None]
    lower = pixels[i % height, j % width] * (1 - fx) + pixels[i % height, (j + 1) % width] * fx
    upper = pixels[(i + 1) % height, j % width] * (1 - fx) + pixels[(i + 1) % height, (j + 1) % width] * fx
    return lower * (1 - fy) + upper * fy


def _unit_square(count: int) -> tuple[Array, Array]:
    """Low-discrepancy points: the R2 sequence."""
    index = np.arange(count) + 0.5
    return (index * 0.7548776662466927) % 1.0, (index * 0.5698402909980532) % 1.0


def _frame(axis: Array) -> tuple[Array, Array]:
    """Two unit vectors that complete the unit vector ``axis`` [3] to a basis."""
    other = np.array([1.0, 0.0, 0.0]) if abs(axis[0]) < 0.9 else np.array([0.0, 1.0, 0.0])
    x = np.cross(other, axis)
    x /= np.linalg.norm(x)
    return x, np.cross(axis, x)


def _cone(axis: Array, sine: float, count: int) -> tuple[Array, float]:
    """Uniform directions in a cone of half angle asin(sine) around ``axis``, and the solid angle of each."""
    cosine = np.sqrt(1.0 - sine * sine)
    first, second = _unit_square(count)
    c = 1.0 - first * (1.0 - cosine)
    s, phi = np.sqrt(np.maximum(0.0, 1.0 - c * c)), 2 * np.pi * second
    x, y = _frame(axis)
    directions = c[:, None] * axis + (s * np.cos(phi))[:, None] * x + (s * np.sin(phi))[:, None] * y
    return directions, 2 * np.pi * (1.0 - cosine) / count


def _ball(light: Light, p: Array, count: int) -> tuple[Array, Array]:
    to_centre = np.asarray(light.matrix, np.float64)[:3, 3] - p
    distance = np.linalg.norm(to_centre)
    axis = to_centre / distance
    if light.radius == 0.0:
        return axis[None], np.array([1.0 / (4 * np.pi * distance**2) * (1.0 if light.normalize else 4.0)])
    radiance = 1.0 / (4 * np.pi**2 * light.radius**2) if light.normalize else 1.0 / np.pi
    if not light.soft_falloff:
        directions, solid_angle = _cone(axis, light.radius / distance, count)
        return directions, np.full(count, radiance * solid_angle)
    first, second = _unit_square(count)
    x, y = _frame(axis)
    r, phi = light.radius * np.sqrt(first), 2 * np.pi * second
    towards = to_centre + (r * np.cos(phi))[:, None] * x + (r * np.sin(phi))[:, None] * y
    length = np.linalg.norm(towards, axis=-1)
    solid_angle = np.pi * light.radius**2 / count * distance / length**3
    return towards / length[:, None], radiance * solid_angle


def _spot(light: Light, p: Array, count: int) -> tuple[Array, Array]:
    directions, factors = _ball(light, p, count)
    local = -directions @ np.linalg.inv(np.asarray(light.matrix, np.float64)[:3, :3]).T  # rotation and scale undone
    cosine = -local[:, 2] / np.linalg.norm(local, axis=-1)
    edge = np.cos(light.spot_size / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.clip((cosine - edge) / ((1.0 - edge) * light.spot_blend), 0.0, 1.0)
    if light.spot_blend == 0.0:
        t = (cosine > edge).astype(np.float64)
    return directions, factors * t * t * (3.0 - 2.0 * t)


def _sun(light: Light, p: Array, count: int) -> tuple[Array, Array]:
    axis = np.asarray(light.matrix, np.float64)[:3, 2]
    axis = axis / np.linalg.norm(axis)
    if light.angle == 0.0:
        return axis[None], np.ones(1)
    sine = np.sin(light.angle / 2)
    directions, solid_angle = _cone(axis, sine, count)
    radiance = 1.0 / (np.pi * sine * sine) if light.normalize else 1.0
    return directions, np.full(count, radiance * solid_angle)


def _area(light: Light, p: Array, count: int) -> tuple[Array, Array]:
    matrix = np.asarray(light.matrix, np.float64)
    first, second = _unit_square(count)
    if light.area_shape == "ELLIPSE":
        r, phi = 0.5 * np.sqrt(first), 2 * np.pi * second
        first, second, unit = 0.5 + r * np.cos(phi), 0.5 + r * np.sin(phi), np.pi / 4
    else:
        unit = 1.0
    x, y = matrix[:3, 0] * light.area_size[0], matrix[:3, 1] * light.area_size[1]
    area = np.linalg.norm(x) * np.linalg.norm(y) * unit
    towards = matrix[:3, 3] + (first - 0.5)[:, None] * x + (second - 0.5)[:, None] * y - p
    length = np.linalg.norm(towards, axis=-1)
    directions = towards / length[:, None]
    normal = -matrix[:3, 2] / np.linalg.norm(matrix[:3, 2])
    cosine = np.maximum(-directions @ normal, 0.0)
    radiance = 1.0 / (np.pi * area) if light.normalize else 1.0 / np.pi
    factors = radiance * area / count * cosine / length**2
    if light.spread < np.pi:
        half = np.tan(light.spread / 2)
        tangent = np.sqrt(np.maximum(0.0, 1.0 - cosine**2)) / np.maximum(cosine, 1e-12)
        factors = factors * np.maximum(half - tangent, 0.0) / (half - light.spread / 2)
    return directions, factors
