# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of blender_texture. The body of a kernel is Warp's language, not Python's: no type checker knows it."""

from __future__ import annotations

from typing import Any

import warp as wp

from .arrays import GROUP_TYPES

wp.set_module_options({"enable_backward": False})

_EXTEND, _CLIP, _MIRROR = wp.constant(1), wp.constant(2), wp.constant(3)

# Texel positions beyond this carry no fraction in float32 and do not fit into int32.
_FAR = wp.constant(1.0e9)
# The texture gradient is shared out among the threads in strips of this many rows.
_STRIP = wp.constant(8)


@wp.func
def wrap_index(i: int, n: int, extension: int) -> int:
    """Texel index after extension, or -1 for a texel that counts as 0."""
    if i >= 0 and i < n:
        return i
    if extension == _EXTEND:
        return wp.clamp(i, 0, n - 1)
    if extension == _CLIP:
        return -1
    if extension == _MIRROR:
        m = i
        if i < 0:
            m = -1 - i
        m = m % (2 * n)
        if m >= n:
            m = 2 * n - 1 - m
        return m
    r = i % n
    if r < 0:
        r += n
    return r


@wp.struct
class Taps:
    """The two texels of a lookup along one axis: index, 1 or 0 (counts as 0), and the weight of the second."""

    i0: int
    i1: int
    present0: float
    present1: float
    fraction: float


@wp.func
def find_taps(coordinate: float, n: int, extension: int, closest: int) -> Taps:
    t = Taps()
    x = coordinate * float(n)
    if closest == 0:
        x -= 0.5
    if not (wp.abs(x) < _FAR):  # or not a number
        return t
    below = wp.floor(x)
    i0 = wrap_index(int(below), n, extension)
    if i0 >= 0:
        t.i0 = i0
        t.present0 = 1.0
    if closest == 0:
        i1 = wrap_index(int(below) + 1, n, extension)
        if i1 >= 0:
            t.i1 = i1
            t.present1 = 1.0
        t.fraction = x - below
    return t


@wp.kernel
def sample_kernel(
    start: int,
    slot: int,
    tex: wp.array[Any],
    uv: wp.array[wp.vec2],
    out: wp.array[Any],
    width: int,
    height: int,
    groups: int,
    extension: int,
    closest: int,
):
    i = start + wp.tid()
    x = find_taps(uv[i][0], width, extension, closest)
    y = find_taps(uv[i][1], height, extension, closest)
    w00 = x.present0 * y.present0 * (1.0 - x.fraction) * (1.0 - y.fraction)
    w10 = x.present1 * y.present0 * x.fraction * (1.0 - y.fraction)
    w01 = x.present0 * y.present1 * (1.0 - x.fraction) * y.fraction
    w11 = x.present1 * y.present1 * x.fraction * y.fraction
    b00 = (y.i0 * width + x.i0) * groups
    b10 = (y.i0 * width + x.i1) * groups
    b01 = (y.i1 * width + x.i0) * groups
    b11 = (y.i1 * width + x.i1) * groups
    for g in range(groups):
        out[i * groups + g] = w00 * tex[b00 + g] + w10 * tex[b10 + g] + w01 * tex[b01 + g] + w11 * tex[b11 + g]


@wp.kernel
def texture_gradient_kernel(
    start: int,
    slot: int,
    uv: wp.array[wp.vec2],
    grad_out: wp.array[Any],
    grad_tex: wp.array[Any],
    points: int,
    owners: int,
    width: int,
    height: int,
    groups: int,
    extension: int,
    closest: int,
):
    """Scatter. Items are (owner, point): an owner visits all points but adds only to its own strips of rows, so that
    threads never meet and the order of the sums, hence the result, does not depend on their number."""
    k = start + wp.tid()
    owner = k // points
    i = k - owner * points
    y = find_taps(uv[i][1], height, extension, closest)
    own0 = y.present0 != 0.0 and (y.i0 // _STRIP) % owners == owner
    own1 = y.present1 != 0.0 and (y.i1 // _STRIP) % owners == owner
    if not (own0 or own1):
        return
    x = find_taps(uv[i][0], width, extension, closest)
    wx0 = x.present0 * (1.0 - x.fraction)
    wx1 = x.present1 * x.fraction
    if own0:
        for g in range(groups):
            value = (1.0 - y.fraction) * grad_out[i * groups + g]
            wp.atomic_add(grad_tex, (y.i0 * width + x.i0) * groups + g, wx0 * value)
            wp.atomic_add(grad_tex, (y.i0 * width + x.i1) * groups + g, wx1 * value)
    if own1:
        for g in range(groups):
            value = y.fraction * grad_out[i * groups + g]
            wp.atomic_add(grad_tex, (y.i1 * width + x.i0) * groups + g, wx0 * value)
            wp.atomic_add(grad_tex, (y.i1 * width + x.i1) * groups + g, wx1 * value)


@wp.kernel
def uv_gradient_kernel(
    start: int,
    slot: int,
    tex: wp.array[float],
    uv: wp.array[wp.vec2],
    grad_out: wp.array[float],
    grad_uv: wp.array[wp.vec2],
    width: int,
    height: int,
    channels: int,
    extension: int,
):
    i = start + wp.tid()
    x = find_taps(uv[i][0], width, extension, 0)
    y = find_taps(uv[i][1], height, extension, 0)
    b00 = (y.i0 * width + x.i0) * channels
    b10 = (y.i0 * width + x.i1) * channels
    b01 = (y.i1 * width + x.i0) * channels
    b11 = (y.i1 * width + x.i1) * channels
    # the four texels, contracted with the output gradient
    a00 = wp.float32(0.0)
    a10 = wp.float32(0.0)
    a01 = wp.float32(0.0)
    a11 = wp.float32(0.0)
    for c in range(channels):
        g = grad_out[i * channels + c]
        a00 += g * tex[b00 + c]
        a10 += g * tex[b10 + c]
        a01 += g * tex[b01 + c]
        a11 += g * tex[b11 + c]
    a00 *= x.present0 * y.present0
    a10 *= x.present1 * y.present0
    a01 *= x.present0 * y.present1
    a11 *= x.present1 * y.present1
    dx = (1.0 - y.fraction) * (a10 - a00) + y.fraction * (a11 - a01)
    dy = (1.0 - x.fraction) * (a01 - a00) + x.fraction * (a11 - a10)
    grad_uv[i] = wp.vec2(dx * float(width), dy * float(height))


# Overloads are made here, once, because a module that gains one later is compiled again.
SAMPLE = {t: wp.overload(sample_kernel, {"tex": wp.array[t], "out": wp.array[t]}) for t in GROUP_TYPES}
TEXTURE_GRADIENT = {
    t: wp.overload(texture_gradient_kernel, {"grad_out": wp.array[t], "grad_tex": wp.array[t]}) for t in GROUP_TYPES
}
