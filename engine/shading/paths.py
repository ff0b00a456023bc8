# SPDX-License-Identifier: GPL-3.0-or-later
"""What rays can meet, where shadow rays begin, and directions sampled by the BSDF."""

from __future__ import annotations

import warp as wp

from ..geometry import GeometryArrays
from .bsdf import PI, Lobes, Tables, specular_reflectance
from .environment import EnvironmentArrays
from .lights import LightArrays, perpendicular
from .secondary import MaterialArrays, smooth_origin
from .shade import Frame


@wp.struct
class World:
    """Everything that rays can meet."""

    geometry: GeometryArrays
    materials: MaterialArrays
    lights: LightArrays
    light_color: wp.array(dtype=wp.vec3)
    environment: EnvironmentArrays
    tables: Tables


@wp.func
def specular_share(lobes: Lobes, nv: float):
    """Probability of sampling the specular lobe; bounded away from 0 and 1 as the material may change."""
    f = specular_reflectance(lobes, nv)
    specular = f[0] + f[1] + f[2]
    diffuse = lobes.diffuse[0] + lobes.diffuse[1] + lobes.diffuse[2]
    return wp.clamp(specular / wp.max(specular + diffuse, 1.0e-6), 0.2, 0.9)


@wp.func
def bsdf_density(lobes: Lobes, frame: Frame, light: wp.vec3):
    """Probability per steradian with which `sample_bsdf` draws the direction `light`."""
    nv = wp.max(wp.dot(frame.lifted, frame.view), 1.0e-4)
    half = wp.normalize(light + frame.view)
    nh = wp.dot(frame.lifted, half)
    cross = wp.cross(frame.lifted, half)
    d = wp.dot(cross, cross) + lobes.alpha2 * nh * nh
    gv = wp.sqrt(nv * nv + lobes.alpha2 * (1.0 - nv * nv))
    share = specular_share(lobes, nv)
    specular = lobes.alpha2 / (PI * d * d) / (2.0 * (nv + gv))
    if nh <= 0.0:
        specular = 0.0
    return share * specular + (1.0 - share) * wp.max(wp.dot(frame.normal, light), 0.0) / PI


@wp.func
def sample_bsdf(lobes: Lobes, frame: Frame, choice: float, u: float, v: float):
    """A direction drawn from the diffuse cosine lobe or from the visible normals of the GGX lobe.

    Visible normals by spherical caps: Dupuy and Benyoub, "Sampling Visible GGX Normals with Spherical Caps" (2023).
    """
    nv = wp.max(wp.dot(frame.lifted, frame.view), 1.0e-4)
    axis = frame.normal
    result = wp.vec3(0.0, 0.0, 0.0)
    phi = 2.0 * PI * u
    if choice < specular_share(lobes, nv):
        axis = frame.lifted
        x = perpendicular(axis)
        y = wp.cross(axis, x)
        alpha = wp.sqrt(lobes.alpha2)
        local = wp.normalize(wp.vec3(alpha * wp.dot(frame.view, x), alpha * wp.dot(frame.view, y), wp.max(nv, 1.0e-4)))
        z = (1.0 - v) * (1.0 + local[2]) - local[2]
        r = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
        h = wp.vec3(r * wp.cos(phi), r * wp.sin(phi), z) + local
        h = wp.normalize(wp.vec3(alpha * h[0], alpha * h[1], wp.max(h[2], 1.0e-6)))
        half = x * h[0] + y * h[1] + axis * h[2]
        result = half * (2.0 * wp.dot(half, frame.view)) - frame.view
    else:
        x = perpendicular(axis)
        y = wp.cross(axis, x)
        r = wp.sqrt(v)
        result = x * (r * wp.cos(phi)) + y * (r * wp.sin(phi)) + axis * wp.sqrt(wp.max(1.0 - v, 0.0))
    return wp.normalize(result)


@wp.func
def shadow_origin(
    geometry: GeometryArrays,
    face: int,
    u: float,
    v: float,
    position: wp.vec3,
    geometric: wp.vec3,
    smooth: wp.vec3,
    side: float,
    direction: wp.vec3,
):
    """Where the shadow ray of a surface point begins, with Cycles' shadow-terminator offset (§6)."""
    gl = wp.dot(geometric, direction)
    nl = wp.dot(smooth, direction)
    c = geometry.terminator[face]
    amount = float(0.0)
    if c > 0.0:
        lift = 2.0 - (gl + nl) / c if nl < c else 1.0 - gl / c
        amount = wp.clamp(lift, 0.0, 1.0)
    origin = position
    if amount > 0.0:
        origin = wp.lerp(position, smooth_origin(geometry, face, u, v, position, side), amount)
    return origin + geometric * geometry.epsilon
