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


@wp.struct
class BsdfSampler:
    """What all directions that are sampled for one pixel share."""

    normal: wp.vec3
    lifted: wp.vec3
    view: wp.vec3
    alpha2: float
    nv: float
    masking: float  # of the view direction
    share: float  # probability of sampling the specular lobe
    x: wp.vec3  # with y and the normal an orthogonal frame
    y: wp.vec3
    lifted_x: wp.vec3  # with lifted_y and the lifted normal likewise
    lifted_y: wp.vec3
    alpha: float
    stretched: wp.vec3  # view direction in the lifted frame, where the roughness is stretched to a half sphere


@wp.func
def bsdf_sampler(lobes: Lobes, frame: Frame):
    """The sampler of a pixel. Both lobes keep a share, as the material may change."""
    s = BsdfSampler()
    s.normal = frame.normal
    s.lifted = frame.lifted
    s.view = frame.view
    s.alpha2 = lobes.alpha2
    s.nv = wp.max(wp.dot(frame.lifted, frame.view), 1.0e-4)
    s.masking = wp.sqrt(s.nv * s.nv + s.alpha2 * (1.0 - s.nv * s.nv))
    f = specular_reflectance(lobes, s.nv)
    specular = f[0] + f[1] + f[2]
    diffuse = lobes.diffuse[0] + lobes.diffuse[1] + lobes.diffuse[2]
    s.share = wp.clamp(specular / wp.max(specular + diffuse, 1.0e-6), 0.2, 0.9)
    s.x = perpendicular(s.normal)
    s.y = wp.cross(s.normal, s.x)
    s.lifted_x = perpendicular(s.lifted)
    s.lifted_y = wp.cross(s.lifted, s.lifted_x)
    s.alpha = wp.sqrt(s.alpha2)
    across = wp.vec2(wp.dot(s.view, s.lifted_x), wp.dot(s.view, s.lifted_y))
    s.stretched = wp.normalize(wp.vec3(s.alpha * across[0], s.alpha * across[1], s.nv))
    return s


@wp.func
def bsdf_density(s: BsdfSampler, light: wp.vec3):
    """Probability per steradian with which `sample_bsdf` draws the direction `light`."""
    half = light + s.view
    half2 = wp.length_sq(half)
    nh = wp.dot(s.lifted, half)
    cross = wp.cross(s.lifted, half)
    d = wp.length_sq(cross) + s.alpha2 * nh * nh
    specular = s.alpha2 * half2 * half2 / (2.0 * PI * d * d * (s.nv + s.masking))
    if nh <= 0.0:
        specular = 0.0
    return s.share * specular + (1.0 - s.share) * wp.max(wp.dot(s.normal, light), 0.0) / PI


@wp.func
def sample_bsdf(s: BsdfSampler, choice: float, u: float, v: float):
    """A direction drawn from the diffuse cosine lobe or from the visible normals of the GGX lobe.

    Visible normals by spherical caps: Dupuy and Benyoub, "Sampling Visible GGX Normals with Spherical Caps" (2023).
    """
    result = wp.vec3(0.0, 0.0, 0.0)
    phi = 2.0 * PI * u
    if choice < s.share:
        z = (1.0 - v) * (1.0 + s.stretched[2]) - s.stretched[2]
        r = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
        h = wp.vec3(r * wp.cos(phi), r * wp.sin(phi), z) + s.stretched
        h = wp.vec3(s.alpha * h[0], s.alpha * h[1], wp.max(h[2], 1.0e-6))
        half = s.lifted_x * h[0] + s.lifted_y * h[1] + s.lifted * h[2]
        result = half * (2.0 * wp.dot(half, s.view) / wp.length_sq(half)) - s.view
    else:
        r = wp.sqrt(v)
        height = wp.sqrt(wp.max(1.0 - v, 0.0))
        result = s.x * (r * wp.cos(phi)) + s.y * (r * wp.sin(phi)) + s.normal * height
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
