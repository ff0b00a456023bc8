# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces that glow, sampled as lights.

A triangle is drawn in proportion to the power that it emits, a point on it evenly. Rays drawn by the BSDF find the same
surfaces; both are weighed against each other by the balance heuristic (Veach, Guibas 1995), for which
`emitter_density` tells how likely a point that was hit would have been drawn here. Surfaces glow to both sides, as in
Cycles.
"""

from __future__ import annotations

import numpy as np
import torch
import warp as wp

from ..geometry import GeometryArrays
from ..ops.launch import launch
from .bsdf import Tables
from .coat import layers_of
from .environment import begins, upper
from .secondary import MaterialArrays, surface_at

# Points at which the emission of a triangle is looked up to know its power: few where there are many triangles.
_POINTS = 64
_LOOKUPS = 400_000


@wp.struct
class EmitterArrays:
    """N triangles that glow. `cumulative` [N + 1] runs from 0 to 1, its search begins as in environment.py."""

    count: int  # 0: nothing glows
    face: wp.array(dtype=wp.int32)
    cumulative: wp.array(dtype=wp.float32)
    first: wp.array(dtype=wp.int32)
    density: wp.array(dtype=wp.float32)  # of every face of the scene: probability per area of drawing a point on it


@wp.struct
class EmitterSample:
    """A point on a glowing surface as another point sees it."""

    face: int
    barycentric: wp.vec2
    direction: wp.vec3
    distance: float
    density: float  # per steradian; 0: edge on


@wp.func
def emission_at(
    geometry: GeometryArrays, materials: MaterialArrays, tables: Tables, face: int, u: float, v: float, ray: wp.vec3
):
    """Radiance that a surface emits against a ray; coat and sheen take their share of it."""
    m = geometry.material[face]
    c = materials.constants
    result = wp.vec3(0.0, 0.0, 0.0)
    if wp.max(wp.max(c[m, 10], c[m, 11]), c[m, 12]) > 0.0:
        s = surface_at(geometry, materials, face, u, v, ray)
        result = s.emission
        if s.layered == 1:
            nv = wp.clamp(-wp.dot(s.normal, ray), 1.0e-4, 1.0)
            layers = layers_of(s.layers, nv, nv, tables)
            result = wp.cw_mul(result, layers.below)
    return result


@wp.func
def emitter_density(emitters: EmitterArrays, geometry: GeometryArrays, face: int, distance: float, direction: wp.vec3):
    """Probability per steradian with which `sample_emitter` draws a point of a face that is `distance` away."""
    density = float(0.0)
    if emitters.count > 0:
        p0 = geometry.positions[geometry.indices[3 * face]]
        p1 = geometry.positions[geometry.indices[3 * face + 1]]
        p2 = geometry.positions[geometry.indices[3 * face + 2]]
        cosine = wp.abs(wp.dot(wp.normalize(wp.cross(p1 - p0, p2 - p0)), direction))
        density = emitters.density[face] * distance * distance / wp.max(cosine, 1.0e-9)
    return density


@wp.func
def sample_emitter(
    emitters: EmitterArrays, geometry: GeometryArrays, point: wp.vec3, choice: float, a: float, b: float
):
    """A point on a glowing surface, seen from `point`; choice, a and b in [0, 1)."""
    s = EmitterSample()
    s.face = emitters.face[upper(emitters.cumulative, emitters.first, choice)]
    root = wp.sqrt(a)
    s.barycentric = wp.vec2(1.0 - root, root * (1.0 - b))
    p0 = geometry.positions[geometry.indices[3 * s.face]]
    p1 = geometry.positions[geometry.indices[3 * s.face + 1]]
    p2 = geometry.positions[geometry.indices[3 * s.face + 2]]
    to = p0 * s.barycentric[0] + p1 * s.barycentric[1] + p2 * (root * b) - point
    s.distance = wp.length(to)
    s.direction = to / wp.max(s.distance, 1.0e-20)
    cosine = wp.abs(wp.dot(wp.normalize(wp.cross(p1 - p0, p2 - p0)), s.direction))
    s.density = 0.0
    if cosine > 1.0e-6 and s.distance > 0.0:
        s.density = emitters.density[s.face] * s.distance * s.distance / cosine
    return s


@wp.kernel(enable_backward=False)
def _power_kernel(
    start: int,
    slot: int,
    geometry: GeometryArrays,
    materials: MaterialArrays,
    faces: wp.array(dtype=wp.int32),
    points: int,
    area: wp.array(dtype=wp.float32),
    power: wp.array(dtype=wp.float32),
):
    """Area of faces, and area times mean emission."""
    i = start + wp.tid()
    face = faces[i]
    p0 = geometry.positions[geometry.indices[3 * face]]
    p1 = geometry.positions[geometry.indices[3 * face + 1]]
    p2 = geometry.positions[geometry.indices[3 * face + 2]]
    normal = wp.cross(p1 - p0, p2 - p0)
    area[i] = 0.5 * wp.length(normal)
    total = float(0.0)
    for j in range(points):
        a = (float(j) + 0.5) / float(points)
        b = 0.5 + float(j) * 0.6180339887
        root = wp.sqrt(a)
        s = surface_at(geometry, materials, face, 1.0 - root, root * (1.0 - (b - wp.floor(b))), -normal)
        total += s.emission[0] + s.emission[1] + s.emission[2]
    power[i] = area[i] * total / float(points)


def emitter_arrays(
    geometry: GeometryArrays, materials: MaterialArrays, material: np.ndarray, glowing: np.ndarray
) -> EmitterArrays:
    """The triangles that glow. `material` [T] are the rows of the faces' materials, `glowing` [M] tells which of these
    may emit light."""
    device = str(geometry.positions.device)
    arrays = EmitterArrays()
    faces = np.flatnonzero(glowing[material]).astype(np.int32)
    density = torch.zeros(1)
    cumulative = torch.zeros(1, dtype=torch.float64)
    if len(faces):
        points = int(np.clip(_LOOKUPS // len(faces), 4, _POINTS))
        on_device = wp.array(faces, dtype=wp.int32, device=device)
        area, power = (wp.zeros(len(faces), dtype=wp.float32, device=device) for _ in range(2))
        launch(_power_kernel, len(faces), [geometry, materials, on_device, points, area, power], device)
        weight = np.maximum(np.nan_to_num(power.numpy().astype(np.float64)), 0.0)
        faces, area, weight = faces[weight > 0], area.numpy()[weight > 0], weight[weight > 0]
    if len(faces):
        cumulative = torch.cat([torch.zeros(1, dtype=torch.float64), torch.from_numpy(weight).cumsum(0)])
        cumulative = (cumulative / cumulative[-1]).float()
        # the chances are those of the rounded table, so that density and drawing agree
        density = torch.zeros(len(material))
        density[torch.from_numpy(faces).long()] = cumulative.diff() / torch.from_numpy(area)
        arrays.first = wp.array(begins(cumulative).numpy(), dtype=wp.int32, device=device)
    arrays.count = len(faces)
    arrays.face = wp.array(faces, dtype=wp.int32, device=device)
    arrays.cumulative = wp.array(cumulative.float().numpy(), dtype=wp.float32, device=device)
    arrays.density = wp.array(density.numpy(), dtype=wp.float32, device=device)
    return arrays
