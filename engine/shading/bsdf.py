# SPDX-License-Identifier: GPL-3.0-or-later
"""The opaque base of Blender's Principled BSDF as Warp functions (docs/blender-image-formation.md §3.1).

For one viewing direction the BSDF times the light's cosine is, for every light direction,

    f cos = diffuse * nl / pi
            + core(alpha; nl, nv, nh) * (constant + schlick (1 - hv)^5 + edge hv (1 - hv)^6 + dielectric s(hv))

where the six *lobe weights* depend on the material and on the view only, so they are worked out once a pixel
(`lobes_of`, differentiated by Warp) while `core` and `s` are evaluated for each light sample.
"""

from __future__ import annotations

from functools import cache

import warp as wp

from ..ops import launch as _launch  # noqa: F401  (initialises Warp)
from .tables import energy_tables, sheen_table

PI = wp.constant(3.14159265358979)
# Cycles treats alpha_x alpha_y <= 2e-10 as a perfect mirror; a narrow lobe of this alpha² stands in for it.
MIN_ALPHA2 = wp.constant(1.0e-8)


@wp.struct
class Tables:
    """Nodes at i / (n - 1): e[roughness, nv], e_avg[roughness], s[roughness, nv, z], sheen[roughness, nv, 3]."""

    e: wp.array2d(dtype=wp.float32)
    e_avg: wp.array(dtype=wp.float32)
    s: wp.array3d(dtype=wp.float32)
    sheen: wp.array3d(dtype=wp.float32)  # see tables.py


@wp.struct
class Lobes:
    """Weights of the angular terms for one pixel, see the module's docstring."""

    diffuse: wp.vec3
    constant: wp.vec3
    schlick: wp.vec3
    edge: wp.vec3
    dielectric: wp.vec3
    eta: float
    f0: float  # of eta
    by_rise: float  # 1 / (1 - f0)
    alpha2: float


@cache
def device_tables(device: str) -> Tables:
    """The tables on a device."""
    source = energy_tables()
    tables = Tables()
    tables.e = wp.array(source.E, dtype=wp.float32, device=device)
    tables.e_avg = wp.array(source.E_avg, dtype=wp.float32, device=device)
    tables.s = wp.array(source.S, dtype=wp.float32, device=device)
    tables.sheen = wp.array(sheen_table(), dtype=wp.float32, device=device)
    return tables


@wp.func
def node_of(x: float, n: int):
    """Index of the table node below x in [0, 1]; the last interval is closed."""
    return wp.clamp(int(wp.clamp(x, 0.0, 1.0) * float(n - 1)), 0, n - 2)


@wp.func
def fraction_of(x: float, n: int, node: int):
    return wp.clamp(x, 0.0, 1.0) * float(n - 1) - float(node)


@wp.func
def lookup1(table: wp.array(dtype=wp.float32), x: float):
    n = table.shape[0]
    i = node_of(x, n)
    return wp.lerp(table[i], table[i + 1], fraction_of(x, n, i))


@wp.func
def lookup2(table: wp.array2d(dtype=wp.float32), x: float, y: float):
    nx = table.shape[0]
    ny = table.shape[1]
    i = node_of(x, nx)
    j = node_of(y, ny)
    fy = fraction_of(y, ny, j)
    low = wp.lerp(table[i, j], table[i, j + 1], fy)
    high = wp.lerp(table[i + 1, j], table[i + 1, j + 1], fy)
    return wp.lerp(low, high, fraction_of(x, nx, i))


@wp.func
def lookup3(table: wp.array3d(dtype=wp.float32), x: float, y: float, z: float):
    nx = table.shape[0]
    ny = table.shape[1]
    nz = table.shape[2]
    i = node_of(x, nx)
    j = node_of(y, ny)
    k = node_of(z, nz)
    fy = fraction_of(y, ny, j)
    fz = fraction_of(z, nz, k)
    a = wp.lerp(
        wp.lerp(table[i, j, k], table[i, j, k + 1], fz), wp.lerp(table[i, j + 1, k], table[i, j + 1, k + 1], fz), fy
    )
    b = wp.lerp(
        wp.lerp(table[i + 1, j, k], table[i + 1, j, k + 1], fz),
        wp.lerp(table[i + 1, j + 1, k], table[i + 1, j + 1, k + 1], fz),
        fy,
    )
    return wp.lerp(a, b, fraction_of(x, nx, i))


@wp.func
def f0_of(eta: float):
    """Reflectance at normal incidence of a dielectric with relative index eta."""
    r = (eta - 1.0) / (eta + 1.0)
    return r * r


@wp.func
def fresnel_dielectric(cosine: float, eta: float):
    """Exact unpolarised Fresnel reflectance; 1 beyond the critical angle."""
    g2 = eta * eta - 1.0 + cosine * cosine
    result = float(1.0)
    if g2 > 0.0:
        g = wp.sqrt(g2)
        # (a / b)² (1 + (c / d)²) / 2 over a common denominator: divisions are what this costs
        a = g - cosine
        b = g + cosine
        c = cosine * b - 1.0
        d = cosine * a + 1.0
        result = 0.5 * a * a * (c * c + d * d) / (b * b * d * d)
    return result


@wp.func
def relative_fresnel(hv: float, lobes: Lobes):
    """s(hv): dielectric Fresnel rescaled to run from 0 at normal to 1 at grazing incidence."""
    return wp.clamp((fresnel_dielectric(hv, lobes.eta) - lobes.f0) * lobes.by_rise, 0.0, 1.0)


@wp.func
def ggx_core(alpha2: float, nl: float, nv: float, half2: float, nh: float, sine2: float):
    """D G2 / (4 nv) of GGX with height-correlated Smith masking; already times nl.

    The half vector H may have any length: `half2` is |H|², `nh` is N·H and `sine2` is |N x H|². With |H|² - nh²
    instead, float32 loses three digits on smooth surfaces.
    """
    d = sine2 + alpha2 * nh * nh
    gv = wp.sqrt(nv * nv + alpha2 * (1.0 - nv * nv))
    gl = wp.sqrt(nl * nl + alpha2 * (1.0 - nl * nl))
    return alpha2 * nl * half2 * half2 / (2.0 * PI * d * d * (nl * gv + nv * gl))


@wp.func
def multiscatter_gain(fss: float, e_avg: float, missing: float):
    """1 + Fms m: energy that multiple scattering inside the microsurface returns."""
    return 1.0 + fss * e_avg / (1.0 - fss * (1.0 - e_avg)) * missing


@wp.func
def _gains(fss: wp.vec3, e_avg: float, missing: float):
    return wp.vec3(
        multiscatter_gain(fss[0], e_avg, missing),
        multiscatter_gain(fss[1], e_avg, missing),
        multiscatter_gain(fss[2], e_avg, missing),
    )


@wp.struct
class Dielectric:
    """What a dielectric's index of refraction and specular level come to."""

    eta: float
    f0: float
    f_mean: float  # mean Fresnel weight between F0 and 1
    z: float  # coordinate of the energy table
    present: float  # 0 if nothing is reflected


@wp.func
def dielectric_of(ior: float, level: float):
    """A level of 0.5 leaves the index alone, others scale F0."""
    d = Dielectric()
    d.eta = ior
    d.f0 = f0_of(ior)
    if level != 0.5:
        d.f0 = wp.min(d.f0 * 2.0 * level, 0.99)
        root = wp.sqrt(wp.max(d.f0, 1.0e-12))
        d.eta = (1.0 + root) / (1.0 - root)
    d.f_mean = wp.clamp(((d.eta - 1.0) / (4.08567 + 1.00071 * d.eta) - d.f0) / (1.0 - d.f0), 0.0, 1.0)
    d.z = wp.sqrt(wp.abs(d.eta - 1.0) / (d.eta + 1.0))
    d.present = 1.0
    if d.eta == 1.0 or level <= 0.0:
        d.present = 0.0
    return d


@wp.func
def edge_of(base: float, tint: float):
    """b of a metal's F82 edge tint: F = F0 + (1 - F0) (1 - hv)^5 - b hv (1 - hv)^6."""
    f82_power5 = 0.4626642  # (6/7)^5
    f82_scale = 7.0 / 0.3965693  # 7 / (6/7)^6
    return (base + (1.0 - base) * f82_power5) * f82_scale * (1.0 - wp.min(tint, 1.0))


@wp.func
def lobes_of(
    base: wp.vec3,
    roughness: float,
    metallic: float,
    ior: float,
    level: float,
    tint: wp.vec3,
    multiscatter: float,
    nv: float,
    tables: Tables,
):
    """Lobe weights of a Principled material seen under the cosine `nv`. All inputs within their socket's range."""
    lobes = Lobes()
    e = lookup2(tables.e, roughness, nv)
    e_avg = lookup1(tables.e_avg, roughness)
    missing = multiscatter * (1.0 - e) / e

    dielectric = dielectric_of(ior, level)
    f0 = dielectric.f0
    f_mean = dielectric.f_mean
    present = dielectric.present
    albedo = lookup3(tables.s, roughness, nv, dielectric.z)
    f0c = wp.vec3(wp.min(f0 * tint[0], 1.0), wp.min(f0 * tint[1], 1.0), wp.min(f0 * tint[2], 1.0))
    one = wp.vec3(1.0, 1.0, 1.0)
    fss = f0c + (one - f0c) * f_mean
    gain = _gains(fss, e_avg, missing)
    layer = wp.cw_mul(gain, f0c + (one - f0c) * albedo) / (1.0 + missing)
    below = 1.0 - present * wp.clamp(wp.max(wp.max(layer[0], layer[1]), layer[2]), 0.0, 1.0)

    # Metal with the F82 edge tint.
    clamped = wp.vec3(wp.clamp(base[0], 0.0, 1.0), wp.clamp(base[1], 0.0, 1.0), wp.clamp(base[2], 0.0, 1.0))
    b = wp.vec3(edge_of(clamped[0], tint[0]), edge_of(clamped[1], tint[1]), edge_of(clamped[2], tint[2]))
    metal_fss = clamped + (one - clamped) / 21.0 - b / 126.0
    metal_gain = metallic * _gains(metal_fss, e_avg, missing)

    dielectric_weight = (1.0 - metallic) * present
    lobes.diffuse = base * ((1.0 - metallic) * below)
    lobes.constant = wp.cw_mul(metal_gain, clamped) + dielectric_weight * wp.cw_mul(gain, f0c)
    lobes.schlick = wp.cw_mul(metal_gain, one - clamped)
    lobes.edge = -wp.cw_mul(metal_gain, b)
    lobes.dielectric = dielectric_weight * wp.cw_mul(gain, one - f0c)
    lobes.eta = dielectric.eta
    lobes.f0 = f0_of(dielectric.eta)
    lobes.by_rise = 1.0 / (1.0 - lobes.f0)
    lobes.alpha2 = wp.max(roughness * roughness * roughness * roughness, MIN_ALPHA2)
    return lobes


@wp.func
def specular_reflectance(lobes: Lobes, hv: float):
    """The Fresnel factors of all specular lobes together, as they multiply `ggx_core`."""
    m = wp.clamp(1.0 - hv, 0.0, 1.0)
    m5 = m * m * m * m * m
    return (
        lobes.constant
        + lobes.schlick * m5
        + lobes.edge * (hv * m5 * m)
        + lobes.dielectric * relative_fresnel(hv, lobes)
    )


@wp.func
def lift_normal(normal: wp.vec3, geometric: wp.vec3, view: wp.vec3):
    """Normal of the specular lobes: `normal` turned to `geometric` until the mirror direction leaves the surface.

    Cycles wants the reflected view direction at least min(0.9 V.Ng, 0.01) above the geometric surface (§3.6); of the
    two normals that give exactly this height the nearer one is taken.
    """
    threshold = wp.min(0.9 * wp.dot(view, geometric), 0.01)
    mirror = 2.0 * wp.dot(normal, view) * normal - view
    result = normal
    if wp.dot(mirror, geometric) < threshold:
        along = normal - wp.dot(normal, geometric) * geometric
        length = wp.length(along)
        if length > 1.0e-6:
            # In the plane of N and Ng let H = (sin p, cos p) and V = (vx, vz); the mirror direction has the height
            # 2 (H.V) cos p - vz = vx sin 2p + vz cos 2p, which shall be `threshold`.
            x = along / length
            vx = wp.dot(view, x)
            vz = wp.dot(view, geometric)
            turn = wp.acos(wp.clamp(threshold / wp.sqrt(vx * vx + vz * vz), -1.0, 1.0))
            middle = wp.atan2(vx, vz)
            given = wp.atan2(length, wp.dot(normal, geometric))
            p = 0.5 * (middle + turn)
            q = 0.5 * (middle - turn)
            if wp.abs(q - given) < wp.abs(p - given):
                p = q
            result = wp.sin(p) * x + wp.cos(p) * geometric
    return result
