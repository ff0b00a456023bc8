# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of texture. Level 0 is one array, all smaller levels are another, with ``offsets`` in texels."""

from __future__ import annotations

from typing import Any

import warp as wp

from .arrays import GROUP_TYPES
from .interpolation_kernels import inner
from .mip_kernels import load3
from .texture_cube_kernels import pull_position
from .texture_taps_kernels import (
    CUBE,
    NEAREST,
    Lookup,
    Taps,
    bilinear,
    find_levels,
    find_taps,
    image_of,
    locate,
    nearest_texel,
    settle,
)

wp.set_module_options({"enable_backward": False})

_NEAREST, _CUBE = wp.constant(NEAREST), wp.constant(CUBE)
# The texture gradient is shared out among the threads in blocks of this many texels.
_BLOCK = wp.constant(1024)


@wp.func
def texel(tex: wp.array[Any], index: int, group: int, groups: int):
    """A group of channels; a texel that is not there (index -1) has the weight 0 and may be any."""
    return tex[wp.max(index, 0) * groups + group]


@wp.func
def mix(tex: wp.array[Any], index: wp.vec4i, weights: wp.vec4, group: int, groups: int):
    return (
        weights[0] * texel(tex, index[0], group, groups)
        + weights[1] * texel(tex, index[1], group, groups)
        + weights[2] * texel(tex, index[2], group, groups)
        + weights[3] * texel(tex, index[3], group, groups)
    )


@wp.kernel
def sample_kernel(
    start: int,
    slot: int,
    tex: wp.array[Any],
    mip: wp.array[Any],
    offsets: wp.array[int],
    uv: wp.array[float],
    level: wp.array[float],
    out: wp.array[Any],
    lookup: Lookup,
):
    i = start + wp.tid()
    groups = lookup.groups
    image = image_of(i, lookup)
    place = locate(uv, i, lookup.boundary)
    if place.face < 0:
        for g in range(groups):
            out[i * groups + g] = type(tex[0])(0.0)
        return
    if lookup.filter == _NEAREST:
        index = nearest_texel(place, image, lookup)
        for g in range(groups):
            if index < 0:
                out[i * groups + g] = type(tex[0])(0.0)
            else:
                out[i * groups + g] = tex[index * groups + g]
        return
    levels = find_levels(level, i, lookup)
    taps = find_taps(place, image, levels.lower, offsets, lookup)
    n = taps.index
    w = bilinear(taps, lookup.boundary)
    if levels.blend == 0.0:
        for g in range(groups):
            if levels.lower == 0:
                out[i * groups + g] = mix(tex, n, w, g, groups)
            else:
                out[i * groups + g] = mix(mip, n, w, g, groups)
        return
    upper = find_taps(place, image, levels.upper, offsets, lookup)
    m = upper.index
    w *= 1.0 - levels.blend
    v = bilinear(upper, lookup.boundary) * levels.blend
    for g in range(groups):
        if levels.lower == 0:
            out[i * groups + g] = mix(tex, n, w, g, groups) + mix(mip, m, v, g, groups)
        else:
            out[i * groups + g] = mix(mip, n, w, g, groups) + mix(mip, m, v, g, groups)


@wp.func
def scatter(
    grad: wp.array[Any],
    index: wp.vec4i,
    weights: wp.vec4,
    grad_out: wp.array[Any],
    i: int,
    groups: int,
    owner: int,
    owners: int,
):
    block = int(-1)
    own = bool(False)
    for k in range(4):
        if index[k] >= 0:
            # neighbours are mostly in the same block
            if index[k] // _BLOCK != block:
                block = index[k] // _BLOCK
                own = block % owners == owner
            if own:
                for g in range(groups):
                    wp.atomic_add(grad, index[k] * groups + g, weights[k] * grad_out[i * groups + g])


@wp.kernel
def texture_gradient_kernel(
    start: int,
    slot: int,
    grad_tex: wp.array[Any],
    grad_mip: wp.array[Any],
    offsets: wp.array[int],
    uv: wp.array[float],
    level: wp.array[float],
    grad_out: wp.array[Any],
    lookup: Lookup,
    items: int,
    owners: int,
):
    """Scatter. Items are (owner, lookup): an owner visits all lookups but adds only to its own blocks of texels, so
    that threads never meet and the order of the sums, hence the result, does not depend on their number."""
    k = start + wp.tid()
    owner = k // items
    i = k - owner * items
    groups = lookup.groups
    image = image_of(i, lookup)
    place = locate(uv, i, lookup.boundary)
    if place.face < 0:
        return
    if lookup.filter == _NEAREST:
        index = nearest_texel(place, image, lookup)
        scatter(grad_tex, wp.vec4i(index, -1, -1, -1), wp.vec4(1.0, 0.0, 0.0, 0.0), grad_out, i, groups, owner, owners)
        return
    levels = find_levels(level, i, lookup)
    taps = find_taps(place, image, levels.lower, offsets, lookup)
    weights = bilinear(taps, lookup.boundary) * (1.0 - levels.blend)
    if levels.lower == 0:
        scatter(grad_tex, taps.index, weights, grad_out, i, groups, owner, owners)
    else:
        scatter(grad_mip, taps.index, weights, grad_out, i, groups, owner, owners)
    if levels.blend != 0.0:
        taps = find_taps(place, image, levels.upper, offsets, lookup)
        weights = bilinear(taps, lookup.boundary) * levels.blend
        scatter(grad_mip, taps.index, weights, grad_out, i, groups, owner, owners)


@wp.func
def contract(tex: wp.array[Any], index: wp.vec4i, grad_out: wp.array[Any], i: int, groups: int) -> wp.vec4:
    """Inner products of the four texels with the output gradient."""
    r = wp.vec4()
    for g in range(groups):
        value = grad_out[i * groups + g]
        r += wp.vec4(
            inner(value, texel(tex, index[0], g, groups)),
            inner(value, texel(tex, index[1], g, groups)),
            inner(value, texel(tex, index[2], g, groups)),
            inner(value, texel(tex, index[3], g, groups)),
        )
    return r


@wp.func
def slopes(taps: Taps, texels: wp.vec4, boundary: int) -> wp.vec2:
    """Derivative of the contracted lookup by (s, t)."""
    by_x = settle(wp.vec4(taps.fy - 1.0, 1.0 - taps.fy, -taps.fy, taps.fy), taps.index, boundary)
    by_y = settle(wp.vec4(taps.fx - 1.0, -taps.fx, 1.0 - taps.fx, taps.fx), taps.index, boundary)
    return wp.vec2(wp.dot(by_x, texels) * taps.slope_x, wp.dot(by_y, texels) * taps.slope_y)


@wp.kernel
def coordinate_gradient_kernel(
    start: int,
    slot: int,
    tex: wp.array[Any],
    mip: wp.array[Any],
    offsets: wp.array[int],
    uv: wp.array[float],
    level: wp.array[float],
    grad_out: wp.array[Any],
    grad_uv: wp.array[float],
    grad_level: wp.array[float],
    lookup: Lookup,
):
    """Gradients of the coordinates (level held fixed) and of the level."""
    i = start + wp.tid()
    image = image_of(i, lookup)
    place = locate(uv, i, lookup.boundary)
    if place.face < 0:
        return
    levels = find_levels(level, i, lookup)
    taps = find_taps(place, image, levels.lower, offsets, lookup)
    texels = wp.vec4()
    if levels.lower == 0:
        texels = contract(tex, taps.index, grad_out, i, lookup.groups)
    else:
        texels = contract(mip, taps.index, grad_out, i, lookup.groups)
    by_st = slopes(taps, texels, lookup.boundary) * (1.0 - levels.blend)
    if levels.upper != levels.lower:
        upper = find_taps(place, image, levels.upper, offsets, lookup)
        upper_texels = contract(mip, upper.index, grad_out, i, lookup.groups)
        by_st += slopes(upper, upper_texels, lookup.boundary) * levels.blend
        if level[i] > 0.0 and level[i] < float(lookup.last):
            above = wp.dot(bilinear(upper, lookup.boundary), upper_texels)
            grad_level[i] = above - wp.dot(bilinear(taps, lookup.boundary), texels)
    if lookup.boundary == _CUBE:
        pulled = pull_position(load3(uv, i), place.face, by_st)
        for k in range(3):
            grad_uv[3 * i + k] = pulled[k]
    else:
        grad_uv[2 * i] = by_st[0]
        grad_uv[2 * i + 1] = by_st[1]


# Overloads are made here, once, because a module that gains one later is compiled again.
SAMPLE = {t: wp.overload(sample_kernel, dict.fromkeys(("tex", "mip", "out"), wp.array[t])) for t in GROUP_TYPES}
TEXTURE_GRADIENT = {
    t: wp.overload(texture_gradient_kernel, dict.fromkeys(("grad_tex", "grad_mip", "grad_out"), wp.array[t]))
    for t in GROUP_TYPES
}
COORDINATE_GRADIENT = {
    t: wp.overload(coordinate_gradient_kernel, dict.fromkeys(("tex", "mip", "grad_out"), wp.array[t]))
    for t in GROUP_TYPES
}
