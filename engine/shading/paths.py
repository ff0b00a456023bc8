# SPDX-License-Identifier: GPL-3.0-or-later
"""What rays can meet, where shadow rays begin, and directions sampled by the BSDF."""

from __future__ import annotations

import warp as wp

from ..geometry import GeometryArrays
from .bsdf import PI, Lobes, Tables, fresnel_dielectric, specular_reflectance
from .emitters import EmitterArrays
from .environment import EnvironmentArrays
from .layers import coat_normal
from .lights import LightArrays, perpendicular
from .radiance_cache import CacheArrays
from .secondary import MaterialArrays, smooth_origin
from .shade import Frame, Pixels


@wp.struct
class World:
    """Everything that rays can meet."""

    geometry: GeometryArrays
    materials: MaterialArrays
    lights: LightArrays
    light_color: wp.array(dtype=wp.vec3)
    environment: EnvironmentArrays
    emitters: EmitterArrays
    cache: CacheArrays
    tables: Tables


@wp.struct
class Coat:
    """The coat as directions are sampled by it."""

    factor: float  # 0: none
    alpha2: float
    ior: float
    normal: wp.vec3


@wp.func
def no_coat():
    coat = Coat()
    coat.factor = 0.0
    return coat


@wp.func
def coat_of(layer_rows: wp.array2d(dtype=wp.float32), pixels: Pixels, i: int):
    """The coat of pixel i; there are layer rows for all pixels or for none."""
    coat = no_coat()
    if layer_rows.shape[0] > 0:
        coat.factor = layer_rows[i, 3]
        if coat.factor > 0.0:
            coat.alpha2 = layer_rows[i, 4]
            coat.ior = layer_rows[i, 5]
            coat.normal = coat_normal(layer_rows, pixels, i)
    return coat


@wp.struct
class GgxSampler:
    """Visible normals of a GGX lobe."""

    normal: wp.vec3
    x: wp.vec3  # with y and the normal an orthogonal frame
    y: wp.vec3
    alpha: float
    alpha2: float
    nv: float
    masking: float  # of the view direction
    stretched: wp.vec3  # view direction in the frame, where the roughness is stretched to a half sphere


@wp.func
def _ggx_sampler(normal: wp.vec3, view: wp.vec3, alpha2: float):
    s = GgxSampler()
    s.normal = normal
    s.alpha2 = alpha2
    s.nv = wp.max(wp.dot(normal, view), 1.0e-4)
    s.masking = wp.sqrt(s.nv * s.nv + alpha2 * (1.0 - s.nv * s.nv))
    s.x = perpendicular(normal)
    s.y = wp.cross(normal, s.x)
    s.alpha = wp.sqrt(alpha2)
    across = wp.vec2(wp.dot(view, s.x), wp.dot(view, s.y))
    s.stretched = wp.normalize(wp.vec3(s.alpha * across[0], s.alpha * across[1], s.nv))
    return s


@wp.func
def _ggx_density(s: GgxSampler, view: wp.vec3, light: wp.vec3):
    half = light + view
    half2 = wp.length_sq(half)
    nh = wp.dot(s.normal, half)
    cross = wp.cross(s.normal, half)
    d = wp.length_sq(cross) + s.alpha2 * nh * nh
    density = s.alpha2 * half2 * half2 / (2.0 * PI * d * d * (s.nv + s.masking))
    if nh <= 0.0:
        density = 0.0
    return density


@wp.func
def _sample_ggx(s: GgxSampler, view: wp.vec3, u: float, v: float):
    """Visible normals by spherical caps: Dupuy and Benyoub, "Sampling Visible GGX Normals with Spherical Caps" (2023).

    Returns a direction of any length.
    """
    phi = 2.0 * PI * u
    z = (1.0 - v) * (1.0 + s.stretched[2]) - s.stretched[2]
    r = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
    h = wp.vec3(r * wp.cos(phi), r * wp.sin(phi), z) + s.stretched
    h = wp.vec3(s.alpha * h[0], s.alpha * h[1], wp.max(h[2], 1.0e-6))
    half = s.x * h[0] + s.y * h[1] + s.normal * h[2]
    return half * (2.0 * wp.dot(half, view) / wp.length_sq(half)) - view


@wp.struct
class BsdfSampler:
    """What all directions that are sampled for one pixel share."""

    normal: wp.vec3
    view: wp.vec3
    x: wp.vec3  # with y and the normal an orthogonal frame
    y: wp.vec3
    share: float  # probability of sampling the specular lobe rather than the diffuse one
    specular: GgxSampler
    coat_share: float  # probability of sampling the coat, 0 where there is none
    coat: GgxSampler


@wp.func
def bsdf_sampler(lobes: Lobes, frame: Frame, coat: Coat):
    """The sampler of a pixel. All lobes keep a share, as the material may change."""
    s = BsdfSampler()
    s.normal = frame.normal
    s.view = frame.view
    s.x = perpendicular(s.normal)
    s.y = wp.cross(s.normal, s.x)
    s.specular = _ggx_sampler(frame.lifted, frame.view, lobes.alpha2)
    f = specular_reflectance(lobes, s.specular.nv)
    specular = f[0] + f[1] + f[2]
    base = specular + lobes.diffuse[0] + lobes.diffuse[1] + lobes.diffuse[2]
    s.share = wp.clamp(specular / wp.max(base, 1.0e-6), 0.2, 0.9)
    s.coat_share = 0.0
    if coat.factor > 0.0:
        s.coat = _ggx_sampler(coat.normal, frame.view, coat.alpha2)
        mirrored = 3.0 * coat.factor * fresnel_dielectric(s.coat.nv, coat.ior)
        s.coat_share = wp.clamp(mirrored / wp.max(mirrored + base, 1.0e-6), 0.2, 0.8)
    return s


@wp.func
def faces(s: BsdfSampler, light: wp.vec3):
    """Whether light from a direction can be reflected."""
    facing = wp.dot(s.normal, light) > 0.0
    if s.coat_share > 0.0:
        facing = facing or wp.dot(s.coat.normal, light) > 0.0
    return facing


@wp.func
def bsdf_density(s: BsdfSampler, light: wp.vec3):
    """Probability per steradian with which `sample_bsdf` draws the direction `light`."""
    specular = _ggx_density(s.specular, s.view, light)
    density = s.share * specular + (1.0 - s.share) * wp.max(wp.dot(s.normal, light), 0.0) / PI
    if s.coat_share > 0.0:
        density = wp.lerp(density, _ggx_density(s.coat, s.view, light), s.coat_share)
    return density


@wp.func
def sample_bsdf(s: BsdfSampler, choice: float, u: float, v: float):
    """A direction drawn from the diffuse cosine lobe or from the visible normals of a GGX lobe."""
    result = wp.vec3(0.0, 0.0, 0.0)
    base = (choice - s.coat_share) / (1.0 - s.coat_share)
    if base < 0.0:
        result = _sample_ggx(s.coat, s.view, u, v)
    elif base < s.share:
        result = _sample_ggx(s.specular, s.view, u, v)
    else:
        phi = 2.0 * PI * u
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
