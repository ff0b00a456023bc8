# SPDX-License-Identifier: GPL-3.0-or-later
"""Point, sun, spot and area lights: sampling and hits in Warp (docs/blender-image-formation.md §2).

Radiance here is that of a light whose effective power (energy times colour times multiplier) is 1 in each channel; the
caller multiplies by the power, which is what a fit changes.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import warp as wp

from ..errors import SceneError
from ..scene import Light
from .bsdf import PI

POINT = wp.constant(0)
SPHERE = wp.constant(1)  # a real sphere: soft falloff off
SUN = wp.constant(2)
AREA = wp.constant(3)

BOTH_LOBES = wp.constant(0)  # which lobes reflect a light
DIFFUSE_ONLY = wp.constant(1)
GLOSSY_ONLY = wp.constant(2)
NO_LOBES = wp.constant(3)

FAR = wp.constant(1.0e30)  # distance of the sun, and of rays that meet nothing


@wp.struct
class LightArrays:
    """All lights, index = row of the light colours. Axes are unit world vectors; a light shines along -z."""

    count: int
    kind: wp.array(dtype=wp.int32)
    position: wp.array(dtype=wp.vec3)
    x: wp.array(dtype=wp.vec3)
    y: wp.array(dtype=wp.vec3)
    z: wp.array(dtype=wp.vec3)
    # point, spot: radius; sun: sine of the half angle; area: half side (or half axis) along x
    extent: wp.array(dtype=wp.float32)
    extent_y: wp.array(dtype=wp.float32)  # area only
    ellipse: wp.array(dtype=wp.int32)
    scale: wp.array(dtype=wp.float32)  # radiance (or intensity, irradiance for lights without size) of power 1
    # spot: cosine of the half angle and width of the blend in cosines; -2 for lights that are no spots
    spot_cosine: wp.array(dtype=wp.float32)
    spot_smooth: wp.array(dtype=wp.float32)
    spot_stretch: wp.array(dtype=wp.vec3)  # inverse object scale along the axes
    # area: tangent of half the spread and its normaliser; 0 for a full spread
    spread_tangent: wp.array(dtype=wp.float32)
    spread_scale: wp.array(dtype=wp.float32)
    shadow: wp.array(dtype=wp.int32)
    lobes: wp.array(dtype=wp.int32)  # BOTH_LOBES, …


@wp.struct
class LightSample:
    """A direction towards a light with radiance for power 1; density 0 means that it cannot be hit by chance."""

    direction: wp.vec3
    distance: float
    radiance: float  # radiance; for density 0: irradiance per cosine
    density: float  # per steradian


@wp.func
def concentric_disk(u: float, v: float):
    """Area-preserving map of the unit square to the unit disk (Shirley and Chiu 1997)."""
    a = 2.0 * u - 1.0
    b = 2.0 * v - 1.0
    r = float(0.0)
    phi = float(0.0)
    if a * a > b * b:
        r = a
        phi = (PI / 4.0) * (b / a)
    elif b != 0.0:
        r = b
        phi = PI / 2.0 - (PI / 4.0) * (a / b)
    return wp.vec2(r * wp.cos(phi), r * wp.sin(phi))


@wp.func
def perpendicular(n: wp.vec3):
    """Some unit vector at right angles to unit n."""
    a = wp.vec3(1.0, 0.0, 0.0)
    if wp.abs(n[0]) > 0.7:
        a = wp.vec3(0.0, 1.0, 0.0)
    return wp.normalize(wp.cross(n, a))


@wp.func
def spot_factor(lights: LightArrays, l: int, towards_light: wp.vec3):
    """Cone falloff of light l for a shading point that sees it in direction `towards_light`."""
    factor = float(1.0)
    if lights.spot_cosine[l] > -1.5:
        s = lights.spot_stretch[l]
        local = wp.vec3(
            -wp.dot(towards_light, lights.x[l]) * s[0],
            -wp.dot(towards_light, lights.y[l]) * s[1],
            -wp.dot(towards_light, lights.z[l]) * s[2],
        )
        cosine = -local[2] / wp.max(wp.length(local), 1.0e-20)
        t = wp.clamp((cosine - lights.spot_cosine[l]) / wp.max(lights.spot_smooth[l], 1.0e-7), 0.0, 1.0)
        factor = t * t * (3.0 - 2.0 * t)
    return factor


@wp.func
def spread_factor(lights: LightArrays, l: int, cosine: float):
    """Falloff of an area light whose spread is less than a half turn."""
    factor = float(1.0)
    tangent = lights.spread_tangent[l]
    if tangent > 0.0:
        a = wp.sqrt(wp.max(1.0 - cosine * cosine, 0.0)) / wp.max(cosine, 1.0e-6)
        factor = wp.max(tangent - a, 0.0) * lights.spread_scale[l]
    return factor


@wp.func
def sample_light(lights: LightArrays, l: int, point: wp.vec3, u: float, v: float):
    """A direction from `point` to light l; u, v in [0, 1)."""
    s = LightSample()
    s.radiance = 0.0
    s.density = 0.0
    kind = lights.kind[l]
    extent = lights.extent[l]
    if kind == SUN:
        s.distance = FAR
        s.direction = lights.z[l]
        s.radiance = lights.scale[l]
        if extent > 0.0:
            # uniform over the disk that the sun covers on the sphere, seen along its axis
            d = concentric_disk(u, v) * extent
            height = wp.sqrt(wp.max(1.0 - d[0] * d[0] - d[1] * d[1], 0.0))
            s.direction = lights.x[l] * d[0] + lights.y[l] * d[1] + lights.z[l] * height
            s.density = height / (PI * extent * extent)
    elif kind == AREA:
        across = wp.vec2(2.0 * u - 1.0, 2.0 * v - 1.0)
        area = 4.0 * extent * lights.extent_y[l]
        if lights.ellipse[l] == 1:
            across = concentric_disk(u, v)
            area = PI * extent * lights.extent_y[l]
        place = lights.position[l] + lights.x[l] * (across[0] * extent) + lights.y[l] * (across[1] * lights.extent_y[l])
        to = place - point
        s.distance = wp.length(to)
        s.direction = to / wp.max(s.distance, 1.0e-20)
        cosine = wp.dot(s.direction, lights.z[l])
        if cosine > 1.0e-6:
            s.radiance = lights.scale[l] * spread_factor(lights, l, cosine)
            s.density = s.distance * s.distance / (cosine * area)
        else:
            s.density = 1.0
    else:
        to = lights.position[l] - point
        distance = wp.length(to)
        axis = to / wp.max(distance, 1.0e-20)
        s.distance = distance
        s.direction = axis
        if extent <= 0.0:
            s.radiance = lights.scale[l] / wp.max(distance * distance, 1.0e-20)
        elif kind == POINT:
            # a disk that faces the shading point
            x = perpendicular(axis)
            d = concentric_disk(u, v) * extent
            to = to + x * d[0] + wp.cross(axis, x) * d[1]
            s.distance = wp.length(to)
            s.direction = to / s.distance
            s.density = s.distance * s.distance / (wp.dot(s.direction, axis) * PI * extent * extent)
            s.radiance = lights.scale[l]
        elif distance > extent:
            # uniform in the cone that the sphere fills
            sine2 = extent * extent / (distance * distance)
            most = sine2 / (1.0 + wp.sqrt(1.0 - sine2))  # 1 - cosine of the cone's half angle
            height = 1.0 - u * most
            radius = wp.sqrt(wp.max(1.0 - height * height, 0.0))
            x = perpendicular(axis)
            phi = 2.0 * PI * v
            s.direction = axis * height + x * (radius * wp.cos(phi)) + wp.cross(axis, x) * (radius * wp.sin(phi))
            along = distance * height
            s.distance = along - wp.sqrt(wp.max(extent * extent - distance * distance + along * along, 0.0))
            s.density = 1.0 / (2.0 * PI * most)
            s.radiance = lights.scale[l]
        s.radiance = s.radiance * spot_factor(lights, l, s.direction)
    return s


@wp.func
def hit_light(lights: LightArrays, l: int, point: wp.vec3, direction: wp.vec3):
    """Where a ray meets light l: distance (negative: a miss), radiance for power 1 and the density of sampling it."""
    s = LightSample()
    s.direction = direction
    s.distance = -1.0
    s.radiance = 0.0
    s.density = 0.0
    kind = lights.kind[l]
    extent = lights.extent[l]
    if extent > 0.0:
        if kind == SUN:
            cosine = wp.dot(direction, lights.z[l])
            if cosine > 0.0 and 1.0 - cosine * cosine < extent * extent:
                s.distance = FAR
                s.radiance = lights.scale[l]
                s.density = cosine / (PI * extent * extent)
        elif kind == AREA:
            cosine = wp.dot(direction, lights.z[l])
            if cosine > 1.0e-6:
                t = wp.dot(lights.position[l] - point, lights.z[l]) / cosine
                across = point + direction * t - lights.position[l]
                a = wp.dot(across, lights.x[l]) / extent
                b = wp.dot(across, lights.y[l]) / lights.extent_y[l]
                inside = wp.max(wp.abs(a), wp.abs(b)) < 1.0
                area = 4.0 * extent * lights.extent_y[l]
                if lights.ellipse[l] == 1:
                    inside = a * a + b * b < 1.0
                    area = PI * extent * lights.extent_y[l]
                if inside and t > 0.0:
                    s.distance = t
                    s.radiance = lights.scale[l] * spread_factor(lights, l, cosine)
                    s.density = t * t / (cosine * area)
        else:
            to = lights.position[l] - point
            distance = wp.length(to)
            axis = to / wp.max(distance, 1.0e-20)
            along = wp.dot(to, direction)
            if kind == POINT:
                cosine = wp.dot(direction, axis)
                if cosine > 1.0e-6:
                    t = distance / cosine
                    across = direction * t - to
                    if wp.dot(across, across) < extent * extent:
                        s.distance = t
                        s.density = t * t / (cosine * PI * extent * extent)
            elif distance > extent and along > 0.0:
                inside2 = extent * extent - distance * distance + along * along
                if inside2 > 0.0:
                    sine2 = extent * extent / (distance * distance)
                    s.distance = along - wp.sqrt(inside2)
                    s.density = (1.0 + wp.sqrt(1.0 - sine2)) / (2.0 * PI * sine2)
            s.radiance = lights.scale[l] * spot_factor(lights, l, direction)
    return s


@wp.func
def estimate(lights: LightArrays, color: wp.array(dtype=wp.vec3), l: int, point: wp.vec3, normal: wp.vec3):
    """About what light l brings to a surface point if nothing is in its way."""
    extent = lights.extent[l]
    kind = lights.kind[l]
    direction = lights.z[l]
    value = lights.scale[l]
    if kind == SUN:
        if extent > 0.0:
            value = value * PI * extent * extent
    else:
        to = lights.position[l] - point
        distance2 = wp.length_sq(to)
        direction = wp.normalize(to)
        if kind == AREA:
            area = extent * lights.extent_y[l]
            value = value * area / wp.max(distance2, area) * wp.max(wp.dot(direction, lights.z[l]), 0.0)
            value = value * spread_factor(lights, l, wp.max(wp.dot(direction, lights.z[l]), 1.0e-6))
        else:
            if extent > 0.0:
                value = value * PI * extent * extent
            value = value / wp.max(distance2, wp.max(extent * extent, 1.0e-12)) * spot_factor(lights, l, direction)
    c = color[l]
    strength = wp.abs(c[0]) + wp.abs(c[1]) + wp.abs(c[2])
    return strength * value * (wp.max(wp.dot(normal, direction), 0.0) + 0.05)


# Every light keeps this share of a uniform chance, as something may be in the way of the brightest.
_ANY = wp.constant(0.1)


@wp.func
def estimates(lights: LightArrays, color: wp.array(dtype=wp.vec3), point: wp.vec3, normal: wp.vec3):
    """The sum of all lights' estimates."""
    total = float(0.0)
    for l in range(lights.count):
        total += estimate(lights, color, l, point, normal)
    return total


@wp.func
def chance(lights: LightArrays, color: wp.array(dtype=wp.vec3), l: int, point: wp.vec3, normal: wp.vec3, total: float):
    """Probability of choosing light l among all in proportion to estimates with the sum `total`, see `pick`."""
    uniform = 1.0 / float(lights.count)
    result = uniform
    if total > 0.0:
        result = wp.lerp(estimate(lights, color, l, point, normal) / total, uniform, _ANY)
    return result


@wp.struct
class Pick:
    """A light that was chosen."""

    light: int
    chance: float


@wp.func
def pick(lights: LightArrays, color: wp.array(dtype=wp.vec3), point: wp.vec3, normal: wp.vec3, total: float, u: float):
    """A light drawn by its chance; u in [0, 1)."""
    p = Pick()
    left = float(u)
    p.light = lights.count - 1
    found = int(0)
    for l in range(lights.count):
        if found == 0:
            p.chance = chance(lights, color, l, point, normal, total)
            if left < p.chance:
                p.light = l
                found = 1
            left -= p.chance
    return p


def _scale(light: Light, extent: float, area: float) -> float:
    """Radiance of power 1 (lights without size: intensity; sun without size: irradiance)."""
    if light.kind == "SUN":
        return 1.0 / (math.pi * extent**2) if light.normalize and extent > 0 else 1.0
    if light.kind == "AREA":
        return 1.0 / (math.pi * area) if light.normalize else 1.0 / math.pi
    if extent > 0:
        return 1.0 / (4 * math.pi**2 * extent**2) if light.normalize else 1.0 / math.pi
    return 1.0 / (4 * math.pi) if light.normalize else 1.0 / math.pi


def light_arrays(lights: list[Light], device: str) -> LightArrays:
    """Kernel arrays for the scene's lights, in their order. Raises SceneError for a light without extent in space."""
    rows: dict[str, list] = {name: [] for name in LightArrays.vars if name != "count"}
    for light in lights:
        matrix = np.asarray(light.matrix, np.float64)
        scale = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or (scale < 1e-12).any():
            raise SceneError(f'Light "{light.name}" has no valid transform (scale 0 or not a number); reset its scale')
        axes = matrix[:3, :3] / scale
        extent_x = extent_y = 0.0
        kind = {"POINT": 0, "SPOT": 0, "SUN": 2, "AREA": 3}[light.kind]
        area = 0.0
        if light.kind == "SUN":
            extent_x = math.sin(min(light.angle, math.pi) / 2)
        elif light.kind == "AREA":
            extent_x, extent_y = light.area_size[0] * scale[0] / 2, light.area_size[1] * scale[1] / 2
            area = extent_x * extent_y * (math.pi if light.area_shape == "ELLIPSE" else 4.0)
            if area <= 0:
                raise SceneError(f'Area light "{light.name}" has size 0; give it a size')
        else:
            extent_x = light.radius
            if extent_x > 0 and not light.soft_falloff:
                kind = 1
        half_spread = light.spread / 2
        narrow = light.kind == "AREA" and light.spread < math.pi - 1e-4
        cone = math.cos(light.spot_size / 2)
        values = {
            "kind": kind,
            "position": matrix[:3, 3],
            "x": axes[:, 0],
            "y": axes[:, 1],
            # kernels want the axis that points from the lit scene to the light
            "z": axes[:, 2],
            "extent": extent_x,
            "extent_y": extent_y,
            "ellipse": int(light.area_shape == "ELLIPSE"),
            "scale": _scale(light, extent_x, area),
            "spot_cosine": cone if light.kind == "SPOT" else -2.0,
            "spot_smooth": (1.0 - cone) * light.spot_blend,
            "spot_stretch": 1.0 / scale,
            "spread_tangent": math.tan(half_spread) if narrow else 0.0,
            "spread_scale": 1.0 / (math.tan(half_spread) - half_spread) if narrow else 0.0,
            "shadow": int(light.cast_shadow),
            "lobes": int(not light.visible_glossy) + 2 * int(not light.visible_diffuse),
        }
        for name, value in values.items():
            rows[name].append(value)
    arrays = LightArrays()
    arrays.count = len(lights)
    for name, column in rows.items():
        dtype = wp.int32 if name in ("kind", "ellipse", "shadow", "lobes") else wp.float32
        if name in ("position", "x", "y", "z", "spot_stretch"):
            dtype = wp.vec3
        data = np.array(column, np.int32 if dtype is wp.int32 else np.float32)
        shape = (0, 3) if dtype is wp.vec3 and not column else data.shape
        setattr(arrays, name, wp.array(data.reshape(shape), dtype=dtype, device=device))
    return arrays


def light_colors(lights: list[Light], device: str) -> torch.Tensor:
    """Effective power of each light [L, 3] (at least one row): energy times colour times multiplier."""
    colors = [light.energy * np.asarray(light.color) * np.asarray(light.multiplier) for light in lights]
    return torch.tensor(np.array(colors or [np.zeros(3)], np.float32), device=device)
