# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of rasterize: vertices to the sub-pixel grid, triangles to a depth buffer of keys.

A key is 64 bits: depth above, the complement of the triangle index below, so that the minimum is the nearest surface
and, of equally near ones, the later triangle. Pixels hold the minimum: the order of the triangles does not matter.
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})

# Coverage works on vertices rounded to 1/16 pixel; pixel centres are at 8 + 16 c.
_SUB = wp.constant(16.0)
# Vertices further out than this many half-images are clipped, which keeps float32 pixels good to about 1e-3.
GUARD = wp.constant(8.0)
# Threads own strips of this many image rows.
STRIP = wp.constant(32)
# Up to this many sub-pixels wide and high, edge functions fit into 32 bits.
EXTENT_32_BIT = wp.constant(32500)
# z/w from -1 to 1 as fixed-point numbers: 31 bits that go into a key, and a fraction that adds up along rows.
FRACTION = wp.constant(wp.int64(20))
_FIXED = wp.constant(wp.float64(2.0**50 * 2.0 - 2.0**21))
EMPTY = wp.constant(wp.uint64(0xFFFFFFFFFFFFFFFF))
LOW = wp.constant(wp.uint64(0xFFFFFFFF))

# Bits of a vertex: outside of the view volume at one of its sides, and reasons for clipping.
_LEFT, _RIGHT, _BOTTOM, _TOP = wp.constant(1), wp.constant(2), wp.constant(4), wp.constant(8)
_NEAR, _FAR, INVALID = wp.constant(16), wp.constant(32), wp.constant(64)
OUTSIDE = wp.constant(63)
CLIP = wp.constant(128)


@wp.func
def to_pixels(p: wp.vec4, width: int, height: int) -> wp.vec3:
    """Image position in pixels (centres at .5) and depth z/w; w must be positive."""
    r = 1.0 / p[3]
    return wp.vec3((p[0] * r + 1.0) * 0.5 * float(width), (p[1] * r + 1.0) * 0.5 * float(height), p[2] * r)


@wp.func
def snap(x: float) -> int:
    return int(wp.floor(x * _SUB + 0.5))


@wp.kernel
def vertex_kernel(
    start: int,
    slot: int,
    pos: wp.array[wp.vec4],
    screen: wp.array[wp.vec3],
    grid: wp.array[wp.vec3i],
    needs_care: wp.array[int],
    width: int,
    height: int,
):
    i = start + wp.tid()
    p = pos[i]
    if not (wp.isfinite(p[0]) and wp.isfinite(p[1]) and wp.isfinite(p[2]) and wp.isfinite(p[3])):
        grid[i] = wp.vec3i(0, 0, INVALID)
        return
    w = p[3]
    code = int(0)
    if p[0] < -w:
        code |= _LEFT
    if p[0] > w:
        code |= _RIGHT
    if p[1] < -w:
        code |= _BOTTOM
    if p[1] > w:
        code |= _TOP
    if p[2] < -w:
        code |= _NEAR
    if p[2] > w:
        code |= _FAR
    far_out = wp.max(wp.abs(p[0]), wp.abs(p[1])) > GUARD * w
    if w <= 0.0 or far_out or (code & (_NEAR | _FAR)) != 0:
        code |= CLIP
        needs_care[slot] = 1
        grid[i] = wp.vec3i(0, 0, code)
        return
    s = to_pixels(p, width, height)
    screen[i] = s
    grid[i] = wp.vec3i(snap(s[0]), snap(s[1]), code)


@wp.func
def bias(dx: int, minus_dy: int) -> int:
    """0 for an edge whose points belong to the triangle (left or bottom, counter-clockwise, y up), otherwise -1."""
    return wp.where(minus_dy > 0 or (minus_dy == 0 and dx > 0), 0, -1)


@wp.func
def fixed_depth(depth: float) -> wp.int64:
    """Depth from the near plane, in units of 2^-20 of the 32-bit depth of a key."""
    return wp.int64((wp.float64(depth) + wp.float64(1.0)) * _FIXED)


@wp.kernel
def triangle_kernel(
    start: int,
    slot: int,
    tri: wp.array[wp.vec3i],
    ranges: wp.array[wp.vec2i],
    grid: wp.array[wp.vec3i],
    screen: wp.array[wp.vec3],
    keys: wp.array[wp.uint64],
    previous: wp.array[wp.uint64],
    peel: int,
    items: int,
    triangles: int,
    vertices: int,
    owners: int,
    width: int,
    height: int,
    needs_care: wp.array[int],
):
    """Triangles that need no clipping. An item is (owner, image, triangle); an owner fills its own strips of rows."""
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
    if (g0[2] & g1[2] & g2[2] & OUTSIDE) != 0 or ((g0[2] | g1[2] | g2[2]) & (CLIP | INVALID)) != 0:
        return
    x_min = wp.min(g0[0], wp.min(g1[0], g2[0]))
    x_max = wp.max(g0[0], wp.max(g1[0], g2[0]))
    y_min = wp.min(g0[1], wp.min(g1[1], g2[1]))
    y_max = wp.max(g0[1], wp.max(g1[1], g2[1]))
    if wp.max(x_max - x_min, y_max - y_min) > EXTENT_32_BIT:
        needs_care[slot] = 1
        return
    x0 = wp.max((x_min + 7) >> 4, 0)
    x1 = wp.min((x_max - 8) >> 4, width - 1)
    y0 = wp.max((y_min + 7) >> 4, 0)
    y1 = wp.min((y_max - 8) >> 4, height - 1)
    if x0 > x1 or y0 > y1:
        return
    if y0 // STRIP == y1 // STRIP and (y0 // STRIP) % owners != owner:
        return
    ax = g1[0] - g0[0]
    ay = g1[1] - g0[1]
    bx = g2[0] - g0[0]
    by = g2[1] - g0[1]
    area = ax * by - ay * bx
    if area == 0:
        return
    # edges of the counter-clockwise triangle: the values at the first pixel, the steps to the next column and row
    turn = wp.where(area < 0, -1, 1)
    col0 = -ay * turn
    col1 = (ay - by) * turn
    col2 = by * turn
    row0 = ax * turn
    row1 = (bx - ax) * turn
    row2 = -bx * turn
    px = 16 * x0 + 8
    py = 16 * y0 + 8
    left0 = row0 * (py - g0[1]) + col0 * (px - g0[0]) + bias(row0, col0)
    left1 = row1 * (py - g1[1]) + col1 * (px - g1[0]) + bias(row1, col1)
    left2 = row2 * (py - g0[1]) + col2 * (px - g0[0]) + bias(row2, col2)
    col0 *= 16
    col1 *= 16
    col2 *= 16
    row0 *= 16
    row1 *= 16
    row2 *= 16
    # The plane of z/w through the unrounded vertices, as fixed-point numbers that begin with the bits of a key.
    # Steeper than from near to far in two pixels only matters for the limits below: rounding can put a pixel outside
    # of the true triangle, where a steep plane has no meaning.
    s0 = screen[v[0]]
    d1 = screen[v[1]] - s0
    d2 = screen[v[2]] - s0
    det = d1[0] * d2[1] - d1[1] * d2[0]
    inverse = wp.where(det != 0.0, 1.0 / det, 0.0)
    slope_x = wp.clamp((d1[2] * d2[1] - d2[2] * d1[1]) * inverse, -1.0, 1.0)
    slope_y = wp.clamp((d2[2] * d1[0] - d1[2] * d2[0]) * inverse, -1.0, 1.0)
    first = s0[2] + (float(x0) + 0.5 - s0[0]) * slope_x + (float(y0) + 0.5 - s0[1]) * slope_y
    nearest = fixed_depth(s0[2] + wp.min(0.0, wp.min(d1[2], d2[2])))
    farthest = fixed_depth(s0[2] + wp.max(0.0, wp.max(d1[2], d2[2])))
    depth_left = fixed_depth(first)
    depth_col = fixed_depth(slope_x - 1.0)
    depth_row = fixed_depth(slope_y - 1.0)
    low = LOW - wp.uint64(t)
    y = y0
    while y <= y1:
        if (y // STRIP) % owners == owner:
            e0 = left0
            e1 = left1
            e2 = left2
            depth = depth_left
            pixel = (image * height + y) * width + x0
            end = pixel + x1 - x0
            while pixel <= end:
                # No branch: small triangles would make it mispredict all the time.
                limited = wp.uint64(wp.min(wp.max(depth, nearest), farthest) >> FRACTION)
                key = (limited << wp.uint64(32)) | low
                if peel != 0 and limited <= (previous[pixel] >> wp.uint64(32)):
                    key = EMPTY
                wp.atomic_min(keys, pixel, wp.where((e0 | e1 | e2) >= 0, key, EMPTY))
                e0 += col0
                e1 += col1
                e2 += col2
                depth += depth_col
                pixel += 1
        left0 += row0
        left1 += row1
        left2 += row2
        depth_left += depth_row
        y += 1
