# SPDX-License-Identifier: GPL-3.0-or-later
"""Coat and sheen, the layers that lie on the Principled base, as Warp functions (docs/blender-image-formation.md §3.1,
§3.4). Sheen lies on the coat, the coat on everything else.

Both only add a lobe of their own and scale what is below by a factor that depends on the view, so the base knows
nothing of them.
"""

from __future__ import annotations

import warp as wp

from .bsdf import (
    MIN_ALPHA2,
    PI,
    Tables,
    f0_of,
    fraction_of,
    fresnel_dielectric,
    ggx_core,
    lookup1,
    lookup2,
    lookup3,
    multiscatter_gain,
    node_of,
)

SOCKET_WIDTH = 10  # columns that read_sockets takes


@wp.struct
class LayerSockets:
    """Socket values of a material's layers at one point."""

    coat: float  # weight; 0: none
    coat_roughness: float
    coat_ior: float
    coat_tint: wp.vec3
    sheen: wp.vec3  # weight times tint
    sheen_roughness: float


@wp.func
def read_sockets(rows: wp.array2d(dtype=wp.float32), i: int, first: int):
    """Row i from column `first`: coat weight, roughness, ior and tint, sheen weight times tint and roughness."""
    s = LayerSockets()
    s.coat = rows[i, first]
    s.coat_roughness = rows[i, first + 1]
    s.coat_ior = rows[i, first + 2]
    s.coat_tint = wp.vec3(rows[i, first + 3], rows[i, first + 4], rows[i, first + 5])
    s.sheen = wp.vec3(rows[i, first + 6], rows[i, first + 7], rows[i, first + 8])
    s.sheen_roughness = rows[i, first + 9]
    return s


@wp.struct
class Layers:
    """The layers of one pixel for one viewing direction."""

    below: wp.vec3  # share of what lies below that is seen
    coat: float  # factor of the coat's GGX lobe
    alpha2: float  # of the coat
    ior: float
    sheen: wp.vec3  # factors of the sheen lobe
    a: float  # with b its shape
    b: float
    mix: float  # how far the sheen's normal is turned to the coat's


@wp.struct
class SheenShape:
    """a, b and R of the sheen lobe, and their derivatives by the cosine of the view."""

    value: wp.vec3
    by_nv: wp.vec3


@wp.func
def sheen_shape(table: wp.array3d(dtype=wp.float32), roughness: float, nv: float):
    i = node_of(roughness, table.shape[0])
    j = node_of(nv, table.shape[1])
    fx = fraction_of(roughness, table.shape[0], i)
    fy = fraction_of(nv, table.shape[1], j)
    low = wp.lerp(_node(table, i, j), _node(table, i + 1, j), fx)
    high = wp.lerp(_node(table, i, j + 1), _node(table, i + 1, j + 1), fx)
    s = SheenShape()
    s.value = wp.lerp(low, high, fy)
    s.by_nv = (high - low) * float(table.shape[1] - 1)
    return s


@wp.func
def _node(table: wp.array3d(dtype=wp.float32), i: int, j: int):
    return wp.vec3(table[i, j, 0], table[i, j, 1], table[i, j, 2])


@wp.func
def largest(v: wp.vec3):
    return wp.max(wp.max(v[0], v[1]), v[2])


@wp.func
def layers_of(s: LayerSockets, coat_nv: float, sheen_nv: float, tables: Tables):
    """Layers seen under the cosines of their own normals."""
    layers = Layers()
    layers.below = wp.vec3(1.0, 1.0, 1.0)
    layers.mix = wp.clamp(s.coat, 0.0, 1.0)
    above = float(1.0)
    if largest(s.sheen) > 0.0:
        shape = sheen_shape(tables.sheen, s.sheen_roughness, sheen_nv)
        layers.sheen = s.sheen * shape.value[2]
        layers.a = shape.value[0]
        layers.b = shape.value[1]
        above = wp.clamp(1.0 - largest(layers.sheen), 0.0, 1.0)
    if s.coat > 0.0:
        e = lookup2(tables.e, s.coat_roughness, coat_nv)
        missing = (1.0 - e) / e
        fss = (s.coat_ior - 1.0) / (4.08567 + 1.00071 * s.coat_ior)
        gain = multiscatter_gain(fss, lookup1(tables.e_avg, s.coat_roughness), missing)
        z = wp.sqrt(wp.abs(s.coat_ior - 1.0) / (s.coat_ior + 1.0))
        f0 = f0_of(s.coat_ior)
        albedo = f0 + (1.0 - f0) * lookup3(tables.s, s.coat_roughness, coat_nv, z)
        layers.coat = s.coat * gain * above
        layers.ior = s.coat_ior
        r2 = s.coat_roughness * s.coat_roughness
        layers.alpha2 = wp.max(r2 * r2, MIN_ALPHA2)
        # light that is refracted into the coat passes its tint along a slanted path
        path = 1.0 / wp.sqrt(1.0 - (1.0 - coat_nv * coat_nv) / (s.coat_ior * s.coat_ior))
        through = wp.clamp(1.0 - s.coat * gain / (1.0 + missing) * albedo, 0.0, 1.0)
        for c in range(3):
            layers.below[c] = through * (1.0 - s.coat + s.coat * wp.pow(s.coat_tint[c], path))
    layers.below = layers.below * above
    return layers


@wp.func
def coat_lobe(layers: Layers, normal: wp.vec3, view: wp.vec3, light: wp.vec3):
    """The coat's BSDF times cosine without its factor `layers.coat`."""
    result = float(0.0)
    nl = wp.dot(normal, light)
    nv = wp.dot(normal, view)
    if nl > 0.0 and nv > 0.0:
        half = light + view
        half2 = wp.length_sq(half)
        hv = wp.min(0.5 * wp.sqrt(half2), 1.0)
        cross = wp.cross(normal, half)
        core = ggx_core(layers.alpha2, nl, nv, half2, wp.dot(normal, half), wp.length_sq(cross))
        result = core * fresnel_dielectric(hv, layers.ior)
    return result


@wp.struct
class SheenLobe:
    """The sheen's BSDF times cosine without its colour, and its derivatives."""

    value: float
    by_a: float
    by_b: float
    by_normal: wp.vec3


@wp.func
def sheen_lobe(a: float, b: float, normal: wp.vec3, view: wp.vec3, light: wp.vec3):
    """A linearly transformed cosine: z / pi (a / len²)²."""
    lobe = SheenLobe()
    z = wp.dot(normal, light)
    if z > 0.0:
        nv = wp.dot(normal, view)
        by_s = 1.0 / wp.sqrt(wp.max(1.0 - nv * nv, 1.0e-8))
        x = (wp.dot(view, light) - nv * z) * by_s  # along the projected view
        len2 = a * a * (1.0 - z * z) + 2.0 * a * b * x * z + (1.0 + b * b) * z * z
        by_len2 = 1.0 / len2
        ratio = a * by_len2
        lobe.value = z / PI * ratio * ratio
        g = -2.0 * lobe.value * by_len2  # derivative by len²
        lobe.by_a = 2.0 * lobe.value / a + g * 2.0 * (a * (1.0 - z * z) + b * x * z)
        lobe.by_b = g * 2.0 * z * (a * x + b * z)
        by_x = g * 2.0 * a * b * z
        by_z = ratio * ratio / PI + g * 2.0 * (a * b * x + (1.0 + b * b - a * a) * z)
        by_z -= by_x * nv * by_s
        by_nv = by_x * by_s * (x * nv * by_s - z)
        lobe.by_normal = by_z * light + by_nv * view
    return lobe
