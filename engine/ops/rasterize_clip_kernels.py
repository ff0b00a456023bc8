# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernel for the triangles that need care: those that cross the near or far plane, reach far out of the image or
are too large for 32-bit edge functions."""

from __future__ import annotations

import warp as wp

from .barycentric_kernels import depth_at, pixel_x, weigh
from .rasterize_kernels import (
    CLIP,
    EXTENT_32_BIT,
    FRACTION,
    GUARD,
    INVALID,
    LOW,
    OUTSIDE,
    STRIP,
    fixed_depth,
    snap,
    to_pixels,
)

wp.set_module_options({"enable_backward": False})

_SIXTEEN, _EIGHT = wp.constant(wp.int64(16)), wp.constant(wp.int64(8))

polygon = wp.types.matrix(shape=(10, 4), dtype=wp.float32)


@wp.func
def edge(p: wp.vec2i, q: wp.vec2i, x: int, y: int) -> wp.int64:
    """Edge function of p -> q at the centre of pixel (x, y): inside of a counter-clockwise triangle where >= 0. Points
    on left and bottom edges (y is up) belong to the triangle."""
    dx = wp.int64(q[0] - p[0])
    dy = wp.int64(q[1] - p[1])
    px = wp.int64(x) * _SIXTEEN + _EIGHT - wp.int64(p[0])
    py = wp.int64(y) * _SIXTEEN + _EIGHT - wp.int64(p[1])
    value = dx * py - dy * px
    if dy < wp.int64(0) or (dy == wp.int64(0) and dx > wp.int64(0)):
        return value
    return value - wp.int64(1)


@wp.func
def put(keys: wp.array[wp.uint64], previous: wp.array[wp.uint64], peel: int, pixel: int, depth: float, triangle: int):
    """Keep the nearest; when peeling, only what is strictly farther than the previous layer."""
    if depth < -1.0 or depth > 1.0:
        return
    fixed = wp.uint64(fixed_depth(depth) >> FRACTION)
    if peel != 0 and fixed <= (previous[pixel] >> wp.uint64(32)):
        return
    wp.atomic_min(keys, pixel, (fixed << wp.uint64(32)) | (LOW - wp.uint64(triangle)))


@wp.func
def side(p: wp.vec4, plane: int) -> float:
    """Signed distance from a clipping plane, positive inside."""
    if plane == 0:
        return p[3] + p[2]
    if plane == 1:
        return p[3] - p[2]
    if plane == 2:
        return GUARD * p[3] + p[0]
    if plane == 3:
        return GUARD * p[3] - p[0]
    if plane == 4:
        return GUARD * p[3] + p[1]
    return GUARD * p[3] - p[1]


@wp.func
def corner(p: polygon, i: int) -> wp.vec4:
    return wp.vec4(p[i, 0], p[i, 1], p[i, 2], p[i, 3])


@wp.func
def to_grid(p: wp.vec4, width: int, height: int) -> wp.vec2i:
    s = to_pixels(p, width, height)
    return wp.vec2i(snap(s[0]), snap(s[1]))


@wp.kernel
def careful_triangle_kernel(
    start: int,
    slot: int,
    tri: wp.array[wp.vec3i],
    ranges: wp.array[wp.vec2i],
    grid: wp.array[wp.vec3i],
    pos: wp.array[wp.vec4],
    keys: wp.array[wp.uint64],
    previous: wp.array[wp.uint64],
    peel: int,
    items: int,
    triangles: int,
    vertices: int,
    owners: int,
    width: int,
    height: int,
    planes: int,
):
    k = start + wp.tid()
    owner = k // items
    item = k - owner * items
    image = item // triangles
    t = item - image * triangles
    span = ranges[image]
    if t >= span[1]:
        return
    t += span[0]
    v = tri[t] + wp.vec3i(image * vertices, image * vertices, image * vertices)
    g0 = grid[v[0]]
    g1 = grid[v[1]]
    g2 = grid[v[2]]
    any_code = g0[2] | g1[2] | g2[2]
    if (g0[2] & g1[2] & g2[2] & OUTSIDE) != 0 or (any_code & INVALID) != 0:
        return
    if (any_code & CLIP) == 0:
        extent_x = wp.max(g0[0], wp.max(g1[0], g2[0])) - wp.min(g0[0], wp.min(g1[0], g2[0]))
        extent_y = wp.max(g0[1], wp.max(g1[1], g2[1])) - wp.min(g0[1], wp.min(g1[1], g2[1]))
        if wp.max(extent_x, extent_y) <= EXTENT_32_BIT:
            return
    p0 = pos[v[0]]
    p1 = pos[v[1]]
    p2 = pos[v[2]]
    # Sutherland-Hodgman (planes is 6; a constant would make Warp unroll the loop). Cuts are computed from inside to
    # outside, so that neighbours get the same point.
    shape = polygon()
    for i in range(4):
        shape[0, i] = p0[i]
        shape[1, i] = p1[i]
        shape[2, i] = p2[i]
    count = int(3)
    for plane in range(planes):
        cut = polygon()
        kept = int(0)
        for i in range(count):
            here = corner(shape, i)
            following = corner(shape, (i + 1) % count)
            d = side(here, plane)
            d_next = side(following, plane)
            if d >= 0.0:
                for j in range(4):
                    cut[kept, j] = here[j]
                kept += 1
            if (d >= 0.0) != (d_next >= 0.0):
                point = here + (following - here) * (d / (d - d_next))
                if d < 0.0:
                    point = following + (here - following) * (d_next / (d_next - d))
                for j in range(4):
                    cut[kept, j] = point[j]
                kept += 1
        shape = cut
        count = kept
    if count < 3:
        return
    for i in range(count):
        if shape[i, 3] <= 0.0:
            return
    q0 = to_grid(corner(shape, 0), width, height)
    for i in range(1, count - 1):
        q1 = to_grid(corner(shape, i), width, height)
        q2 = to_grid(corner(shape, i + 1), width, height)
        area = wp.int64(q1[0] - q0[0]) * wp.int64(q2[1] - q0[1]) - wp.int64(q1[1] - q0[1]) * wp.int64(q2[0] - q0[0])
        if area < wp.int64(0):
            swap = q1
            q1 = q2
            q2 = swap
        # first pixel whose centre is at or after the smallest coordinate, last one at or before the largest
        x0 = wp.max((wp.min(q0[0], wp.min(q1[0], q2[0])) + 7) >> 4, 0)
        x1 = wp.min((wp.max(q0[0], wp.max(q1[0], q2[0])) - 8) >> 4, width - 1)
        y0 = wp.max((wp.min(q0[1], wp.min(q1[1], q2[1])) + 7) >> 4, 0)
        y1 = wp.min((wp.max(q0[1], wp.max(q1[1], q2[1])) - 8) >> 4, height - 1)
        if area != wp.int64(0):
            for y in range(y0, y1 + 1):
                if (y // STRIP) % owners == owner:
                    for x in range(x0, x1 + 1):
                        if (edge(q0, q1, x, y) | edge(q1, q2, x, y) | edge(q2, q0, x, y)) >= wp.int64(0):
                            weights = weigh(p0, p1, p2, pixel_x(x, width), pixel_x(y, height))
                            depth = depth_at(weights.a, p0, p1, p2)
                            put(keys, previous, peel, (image * height + y) * width + x, depth, t)
