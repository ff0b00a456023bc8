# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Where a texture lookup falls, as Warp functions: texels and weights along both axes, levels, boundary modes."""

from __future__ import annotations

import warp as wp

from .mip_kernels import load3
from .texture_cube_kernels import cube_face, cube_position, cube_texel

wp.set_module_options({"enable_backward": False})

NEAREST, LINEAR, MIP_NEAREST, MIP_LINEAR = 0, 1, 2, 3
WRAP, CLAMP, ZERO, CUBE = 0, 1, 2, 3
_MIP_LINEAR = wp.constant(MIP_LINEAR)
_WRAP, _CLAMP, _ZERO, _CUBE = wp.constant(WRAP), wp.constant(CLAMP), wp.constant(ZERO), wp.constant(CUBE)


@wp.struct
class Lookup:
    """All numbers that belong to a call: sizes of level 0, images of the texture, lookups an image, modes."""

    width: int
    height: int
    images: int
    pixels: int
    groups: int
    last: int
    filter: int
    boundary: int


@wp.func
def image_of(i: int, lookup: Lookup) -> int:
    """Image of the texture for lookup i; a texture may have one for all."""
    if lookup.images == 1:
        return 0
    return i // lookup.pixels


@wp.struct
class Place:
    """Where a lookup falls: face (0 for a plain texture, -1 for nowhere) and coordinates on it."""

    face: int
    s: float
    t: float


@wp.func
def locate(uv: wp.array[float], i: int, boundary: int) -> Place:
    p = Place()
    if boundary == _CUBE:
        d = load3(uv, i)
        p.face = cube_face(d)
        if p.face >= 0:
            st = cube_position(d, p.face)
            p.s = st[0]
            p.t = st[1]
        return p
    p.s = uv[2 * i]
    p.t = uv[2 * i + 1]
    if not (wp.isfinite(p.s) and wp.isfinite(p.t)):
        p.face = -1
        return p
    if boundary == _WRAP:
        p.s -= wp.floor(p.s)
        p.t -= wp.floor(p.t)
    return p


@wp.struct
class Axis:
    """The two texels along an axis (-1: outside), the weight of the second and its derivative by the coordinate."""

    i0: int
    i1: int
    fraction: float
    slope: float


@wp.func
def find_axis(coordinate: float, n: int, boundary: int) -> Axis:
    a = Axis()
    a.slope = float(n)
    x = coordinate * a.slope - 0.5
    if boundary == _WRAP:
        # the coordinate is in [0, 1]
        below = wp.floor(x)
        a.fraction = x - below
        a.i0 = int(below)
        a.i1 = a.i0 + 1
        if a.i0 < 0:
            a.i0 += n
        if a.i1 >= n:
            a.i1 -= n
        return a
    if boundary == _CLAMP:
        if x < 0.0 or x > float(n - 1):
            a.slope = 0.0
        x = wp.clamp(x, 0.0, float(n - 1))
    else:
        x = wp.clamp(x, -2.0, float(n + 1))
    below = wp.floor(x)
    a.fraction = x - below
    a.i0 = int(below)
    a.i1 = a.i0 + 1
    if boundary == _CLAMP:
        a.i1 = wp.min(a.i1, n - 1)
    if boundary == _ZERO:
        if a.i0 < 0 or a.i0 >= n:
            a.i0 = -1
        if a.i1 < 0 or a.i1 >= n:
            a.i1 = -1
    return a


@wp.struct
class Taps:
    """Texels of a bilinear lookup, lower left, lower right, upper left, upper right: index in the level or -1."""

    index: wp.vec4i
    fx: float
    fy: float
    slope_x: float
    slope_y: float


@wp.func
def plain_texel(row: int, column: int, width: int) -> int:
    if row < 0 or column < 0:
        return -1
    return row * width + column


@wp.func
def shifted(index: int, base: int) -> int:
    return wp.where(index < 0, -1, index + base)


@wp.func
def find_taps(p: Place, image: int, level: int, offsets: wp.array[int], lookup: Lookup) -> Taps:
    w = wp.max(lookup.width >> level, 1)
    h = wp.max(lookup.height >> level, 1)
    x = find_axis(p.s, w, lookup.boundary)
    y = find_axis(p.t, h, lookup.boundary)
    taps = Taps()
    taps.fx = x.fraction
    taps.fy = y.fraction
    taps.slope_x = x.slope
    taps.slope_y = y.slope
    base = offsets[level]
    if lookup.boundary == _CUBE:
        base += image * 6 * w * h
        taps.index = wp.vec4i(
            shifted(cube_texel(p.face, y.i0, x.i0, w), base),
            shifted(cube_texel(p.face, y.i0, x.i1, w), base),
            shifted(cube_texel(p.face, y.i1, x.i0, w), base),
            shifted(cube_texel(p.face, y.i1, x.i1, w), base),
        )
    else:
        base += image * w * h
        taps.index = wp.vec4i(
            shifted(plain_texel(y.i0, x.i0, w), base),
            shifted(plain_texel(y.i0, x.i1, w), base),
            shifted(plain_texel(y.i1, x.i0, w), base),
            shifted(plain_texel(y.i1, x.i1, w), base),
        )
    return taps


@wp.func
def nearest_texel(p: Place, image: int, lookup: Lookup) -> int:
    """Index of the texel that holds the point, or -1."""
    w = lookup.width
    h = lookup.height
    x = wp.clamp(wp.floor(p.s * float(w)), -1.0, float(w))
    y = wp.clamp(wp.floor(p.t * float(h)), -1.0, float(h))
    column = int(x)
    row = int(y)
    if lookup.boundary == _ZERO:
        if column < 0 or column >= w or row < 0 or row >= h:
            return -1
        return (image * h + row) * w + column
    column = wp.clamp(column, 0, w - 1)
    row = wp.clamp(row, 0, h - 1)
    if lookup.boundary == _CUBE:
        return ((image * 6 + p.face) * h + row) * w + column
    return (image * h + row) * w + column


@wp.func
def settle(weights: wp.vec4, index: wp.vec4i, boundary: int) -> wp.vec4:
    """Weights when texels are missing: they count as 0, at the corner of a cube as the mean of the other three.
    Linear in the weights, so that it serves for their derivatives too."""
    if wp.min(wp.min(index[0], index[1]), wp.min(index[2], index[3])) >= 0:
        return weights
    missing = wp.float32(0.0)
    for k in range(4):
        if index[k] < 0:
            missing += weights[k]
    share = wp.where(boundary == _CUBE, missing / 3.0, 0.0)
    result = wp.vec4()
    for k in range(4):
        if index[k] >= 0:
            result[k] = weights[k] + share
    return result


@wp.func
def bilinear(taps: Taps, boundary: int) -> wp.vec4:
    fx = taps.fx
    fy = taps.fy
    weights = wp.vec4((1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy)
    return settle(weights, taps.index, boundary)


@wp.struct
class Levels:
    """The one or two levels of a lookup: it blends towards ``upper`` by ``blend``."""

    lower: int
    upper: int
    blend: float


@wp.func
def find_levels(level: wp.array[float], i: int, lookup: Lookup) -> Levels:
    r = Levels()
    if lookup.last == 0:
        return r
    limited = wp.clamp(level[i], 0.0, float(lookup.last))
    r.lower = int(wp.floor(limited))
    r.upper = r.lower
    if lookup.filter == _MIP_LINEAR and r.lower < lookup.last:
        r.upper = r.lower + 1
        r.blend = limited - float(r.lower)
    return r
