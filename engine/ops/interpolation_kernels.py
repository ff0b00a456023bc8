# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of interpolate. An item is a pixel; ``stride`` is the number of vertices from one image to the next."""

from __future__ import annotations

from typing import Any

import warp as wp

from .arrays import GROUP_TYPES

wp.set_module_options({"enable_backward": False})


@wp.func
def corners(tri: wp.array[wp.vec3i], triangle: int, offset: int) -> wp.vec3i:
    return tri[triangle] + wp.vec3i(offset, offset, offset)


@wp.func
def inner(a: float, b: float) -> float:
    return a * b


@wp.func
def inner(a: wp.vec2, b: wp.vec2) -> float:  # noqa: F811, Warp's functions are overloaded by type
    return wp.dot(a, b)


@wp.func
def inner(a: wp.vec3, b: wp.vec3) -> float:  # noqa: F811
    return wp.dot(a, b)


@wp.func
def inner(a: wp.vec4, b: wp.vec4) -> float:  # noqa: F811
    return wp.dot(a, b)


@wp.kernel
def interpolate_kernel(
    start: int,
    slot: int,
    attr: wp.array[Any],
    rast: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    out: wp.array[Any],
    bad_id: wp.array[int],
    triangles: int,
    groups: int,
    pixels: int,
    stride: int,
):
    i = start + wp.tid()
    r = rast[i]
    t = int(r[3]) - 1
    o = i * groups
    if t >= triangles:
        bad_id[slot] = 1
        t = -1
    if t < 0:
        for g in range(groups):
            out[o + g] = type(attr[0])(0.0)
        return
    v = corners(tri, t, i // pixels * stride) * groups
    last = 1.0 - r[0] - r[1]
    for g in range(groups):
        out[o + g] = r[0] * attr[v[0] + g] + r[1] * attr[v[1] + g] + last * attr[v[2] + g]


@wp.kernel
def attribute_gradient_kernel(
    start: int,
    slot: int,
    grad_out: wp.array[Any],
    rast: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    grad_attr: wp.array[Any],
    slot_size: int,
    groups: int,
    pixels: int,
    stride: int,
):
    i = start + wp.tid()
    r = rast[i]
    t = int(r[3]) - 1
    if t < 0:
        return
    v = corners(tri, t, i // pixels * stride) * groups
    last = 1.0 - r[0] - r[1]
    base = slot * slot_size
    for g in range(groups):
        value = grad_out[i * groups + g]
        wp.atomic_add(grad_attr, base + v[0] + g, r[0] * value)
        wp.atomic_add(grad_attr, base + v[1] + g, r[1] * value)
        wp.atomic_add(grad_attr, base + v[2] + g, last * value)


@wp.kernel
def rast_gradient_kernel(
    start: int,
    slot: int,
    attr: wp.array[Any],
    grad_out: wp.array[Any],
    rast: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    grad_rast: wp.array[wp.vec4],
    groups: int,
    pixels: int,
    stride: int,
):
    i = start + wp.tid()
    t = int(rast[i][3]) - 1
    gu = wp.float32(0.0)
    gv = wp.float32(0.0)
    if t >= 0:
        v = corners(tri, t, i // pixels * stride) * groups
        for g in range(groups):
            value = grad_out[i * groups + g]
            third = attr[v[2] + g]
            gu += inner(value, attr[v[0] + g] - third)
            gv += inner(value, attr[v[1] + g] - third)
    grad_rast[i] = wp.vec4(gu, gv, 0.0, 0.0)


@wp.kernel
def derivative_kernel(
    start: int,
    slot: int,
    attr: wp.array[float],
    rast: wp.array[wp.vec4],
    rast_db: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    chosen: wp.array[int],
    out: wp.array[wp.vec2],
    triangles: int,
    count: int,
    channels: int,
    pixels: int,
    stride: int,
):
    """Image-space derivatives (dA/dX, dA/dY) of the chosen attributes."""
    i = start + wp.tid()
    t = int(rast[i][3]) - 1
    if t < 0 or t >= triangles:
        for k in range(count):
            out[i * count + k] = wp.vec2()
        return
    v = corners(tri, t, i // pixels * stride) * channels
    db = rast_db[i]
    for k in range(count):
        c = chosen[k]
        third = attr[v[2] + c]
        first = attr[v[0] + c] - third
        second = attr[v[1] + c] - third
        out[i * count + k] = wp.vec2(db[0] * first + db[2] * second, db[1] * first + db[3] * second)


@wp.kernel
def derivative_attribute_gradient_kernel(
    start: int,
    slot: int,
    grad_out: wp.array[wp.vec2],
    rast: wp.array[wp.vec4],
    rast_db: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    chosen: wp.array[int],
    grad_attr: wp.array[float],
    slot_size: int,
    count: int,
    channels: int,
    pixels: int,
    stride: int,
):
    i = start + wp.tid()
    t = int(rast[i][3]) - 1
    if t < 0:
        return
    v = corners(tri, t, i // pixels * stride) * channels
    db = rast_db[i]
    base = slot * slot_size
    for k in range(count):
        c = chosen[k]
        g = grad_out[i * count + k]
        first = db[0] * g[0] + db[1] * g[1]
        second = db[2] * g[0] + db[3] * g[1]
        wp.atomic_add(grad_attr, base + v[0] + c, first)
        wp.atomic_add(grad_attr, base + v[1] + c, second)
        wp.atomic_add(grad_attr, base + v[2] + c, -first - second)


@wp.kernel
def derivative_rast_gradient_kernel(
    start: int,
    slot: int,
    attr: wp.array[float],
    grad_out: wp.array[wp.vec2],
    rast: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    chosen: wp.array[int],
    grad_rast_db: wp.array[wp.vec4],
    count: int,
    channels: int,
    pixels: int,
    stride: int,
):
    i = start + wp.tid()
    t = int(rast[i][3]) - 1
    if t < 0:
        grad_rast_db[i] = wp.vec4()
        return
    v = corners(tri, t, i // pixels * stride) * channels
    by_u = wp.vec2()
    by_v = wp.vec2()
    for k in range(count):
        c = chosen[k]
        g = grad_out[i * count + k]
        third = attr[v[2] + c]
        by_u += g * (attr[v[0] + c] - third)
        by_v += g * (attr[v[1] + c] - third)
    grad_rast_db[i] = wp.vec4(by_u[0], by_u[1], by_v[0], by_v[1])


# Overloads are made here, once, because a module that gains one later is compiled again.
INTERPOLATE = {t: wp.overload(interpolate_kernel, {"attr": wp.array[t], "out": wp.array[t]}) for t in GROUP_TYPES}
ATTRIBUTE_GRADIENT = {
    t: wp.overload(attribute_gradient_kernel, {"grad_out": wp.array[t], "grad_attr": wp.array[t]}) for t in GROUP_TYPES
}
RAST_GRADIENT = {
    t: wp.overload(rast_gradient_kernel, {"attr": wp.array[t], "grad_out": wp.array[t]}) for t in GROUP_TYPES
}
