# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of mip maps: building levels, pulling gradients back, choosing the level of a lookup."""

from __future__ import annotations

from typing import Any

import warp as wp

from .arrays import GROUP_TYPES
from .texture_cube_kernels import cube_face, cube_footprint, pull_footprint

wp.set_module_options({"enable_backward": False})


@wp.struct
class Block:
    """The fine texels of an item (a group of a coarse texel): the first, steps to the right and up (0 along a side of
    1), and the share of the coarse texel in each."""

    first: int
    right: int
    up: int
    share: float


@wp.func
def find_block(i: int, width: int, height: int, groups: int) -> Block:
    """``width`` and ``height`` are those of the fine level."""
    coarse_width = wp.max(width // 2, 1)
    coarse_height = wp.max(height // 2, 1)
    texel = i // groups
    row = texel // coarse_width
    column = texel - row * coarse_width
    image = row // coarse_height
    b = Block()
    b.share = 1.0
    if width > 1:
        column *= 2
        b.right = groups
        b.share = 0.5
    if height > 1:
        # the rows of all images, one after the other, halve too
        row *= 2
        b.up = width * groups
        b.share *= 0.5
    else:
        row = image
    b.first = (row * width + column) * groups + i - texel * groups
    return b


@wp.kernel
def halve_kernel(
    start: int, slot: int, fine: wp.array[Any], coarse: wp.array[Any], width: int, height: int, groups: int
):
    """Means of 2 x 2 texels (2 x 1 along a side of 1)."""
    i = start + wp.tid()
    b = find_block(i, width, height, groups)
    below = fine[b.first] + fine[b.first + b.right]
    coarse[i] = 0.25 * (below + fine[b.first + b.up] + fine[b.first + b.up + b.right])


@wp.kernel
def pull_back_kernel(
    start: int, slot: int, coarse: wp.array[Any], fine: wp.array[Any], width: int, height: int, groups: int
):
    """Add the gradient of a level to that of the level it was made from."""
    i = start + wp.tid()
    b = find_block(i, width, height, groups)
    value = b.share * coarse[i]
    fine[b.first] = fine[b.first] + value
    if b.right != 0:
        fine[b.first + b.right] = fine[b.first + b.right] + value
    if b.up != 0:
        fine[b.first + b.up] = fine[b.first + b.up] + value
    if b.right != 0 and b.up != 0:
        fine[b.first + b.up + b.right] = fine[b.first + b.up + b.right] + value


@wp.struct
class Ellipse:
    """Squared longer half-axis of a footprint and what its derivative needs."""

    square: float
    a: float
    b: float
    c: float
    root: float


@wp.func
def ellipse(j: wp.vec4) -> Ellipse:
    """Largest squared singular value of [[j0, j1], [j2, j3]]: (a + b + sqrt((a - b)^2 + 4 c^2)) / 2 with the squared
    lengths a, b and the inner product c of the columns."""
    e = Ellipse()
    e.a = j[0] * j[0] + j[2] * j[2]
    e.b = j[1] * j[1] + j[3] * j[3]
    e.c = j[0] * j[1] + j[2] * j[3]
    e.root = wp.sqrt((e.a - e.b) * (e.a - e.b) + 4.0 * e.c * e.c)
    e.square = 0.5 * (e.a + e.b + e.root)
    return e


@wp.func
def load3(values: wp.array[float], i: int) -> wp.vec3:
    return wp.vec3(values[3 * i], values[3 * i + 1], values[3 * i + 2])


@wp.func
def load_dx(da: wp.array[float], i: int) -> wp.vec3:
    return wp.vec3(da[6 * i], da[6 * i + 2], da[6 * i + 4])


@wp.func
def load_dy(da: wp.array[float], i: int) -> wp.vec3:
    return wp.vec3(da[6 * i + 1], da[6 * i + 3], da[6 * i + 5])


@wp.func
def footprint(uv: wp.array[float], uv_da: wp.array[float], i: int, cube: int, width: int, height: int) -> wp.vec4:
    """d(texel coordinates of level 0) / d(pixel)."""
    j = wp.vec4()
    if cube != 0:
        d = load3(uv, i)
        face = cube_face(d)
        if face >= 0:
            j = cube_footprint(d, load_dx(uv_da, i), load_dy(uv_da, i), face)
    else:
        j = wp.vec4(uv_da[4 * i], uv_da[4 * i + 1], uv_da[4 * i + 2], uv_da[4 * i + 3])
    w = float(width)
    h = float(height)
    return wp.vec4(j[0] * w, j[1] * w, j[2] * h, j[3] * h)


@wp.kernel
def level_kernel(
    start: int,
    slot: int,
    uv: wp.array[float],
    uv_da: wp.array[float],
    bias: wp.array[float],
    level: wp.array[float],
    with_da: int,
    with_bias: int,
    cube: int,
    width: int,
    height: int,
    last: int,
):
    """Level of a lookup before it is limited to 0 … last; NaN and -inf become a level below 0."""
    i = start + wp.tid()
    value = wp.float32(0.0)
    if with_da != 0:
        e = ellipse(footprint(uv, uv_da, i, cube, width, height))
        value = wp.where(e.square > 0.0, 0.5 * wp.log2(e.square), -1.0e3)
    if with_bias != 0:
        value += bias[i]
    level[i] = wp.where(value > -1.0, wp.min(value, float(last) + 1.0), -1.0)


@wp.kernel
def level_gradient_kernel(
    start: int,
    slot: int,
    uv: wp.array[float],
    uv_da: wp.array[float],
    grad_level: wp.array[float],
    grad_uv: wp.array[float],
    grad_uv_da: wp.array[float],
    cube: int,
    width: int,
    height: int,
):
    """From the level, log2(square) / 2, to the footprint and (cube maps) to the direction."""
    i = start + wp.tid()
    g = grad_level[i]
    if g == 0.0:
        return
    e = ellipse(footprint(uv, uv_da, i, cube, width, height))
    # A circular footprint has no derivative: the longer axis may be any. Zero, as in nvdiffrast.
    if e.root <= 1.0e-6 * e.square or not wp.isfinite(e.square):
        return
    g *= 0.25 / (wp.log(2.0) * e.square)
    ratio = (e.a - e.b) / e.root
    a = g * (1.0 + ratio)
    b = g * (1.0 - ratio)
    c = g * 4.0 * e.c / e.root
    j = footprint(uv, uv_da, i, cube, width, height)
    w = float(width)
    h = float(height)
    bar = wp.vec4(
        (2.0 * a * j[0] + c * j[1]) * w,
        (2.0 * b * j[1] + c * j[0]) * w,
        (2.0 * a * j[2] + c * j[3]) * h,
        (2.0 * b * j[3] + c * j[2]) * h,
    )
    if cube == 0:
        for k in range(4):
            grad_uv_da[4 * i + k] = bar[k]
        return
    d = load3(uv, i)
    face = cube_face(d)
    if face < 0:
        return
    pulled = pull_footprint(d, load_dx(uv_da, i), load_dy(uv_da, i), face, bar)
    for k in range(3):
        grad_uv[3 * i + k] = grad_uv[3 * i + k] + pulled.d[k]
        grad_uv_da[6 * i + 2 * k] = pulled.dx[k]
        grad_uv_da[6 * i + 2 * k + 1] = pulled.dy[k]


# Overloads are made here, once, because a module that gains one later is compiled again.
HALVE = {t: wp.overload(halve_kernel, {"fine": wp.array[t], "coarse": wp.array[t]}) for t in GROUP_TYPES}
PULL_BACK = {t: wp.overload(pull_back_kernel, {"fine": wp.array[t], "coarse": wp.array[t]}) for t in GROUP_TYPES}
