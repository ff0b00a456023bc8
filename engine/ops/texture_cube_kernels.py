# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Geometry of cube maps as Warp functions: direction to face and position, texels across edges, footprints.

Faces are +x, -x, +y, -y, +z, -z. With the largest component m, s = (sc / |m| + 1) / 2 is the column and
t = (tc / |m| + 1) / 2 the row, (sc, tc) being (-z, -y), (z, -y), (x, z), (x, -z), (x, -y), (-x, -y).
"""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.struct
class Axes:
    """Which components of a direction are m, sc and tc of a face, and with which sign."""

    m: int
    s: int
    t: int
    sign_m: int
    sign_s: int
    sign_t: int


@wp.func
def face_axes(face: int) -> Axes:
    a = Axes()
    a.m = face // 2
    a.sign_m = 1 - 2 * (face % 2)
    a.s = 0
    a.t = 1
    a.sign_s = 1
    a.sign_t = -1
    if a.m == 0:
        a.s = 2
        a.sign_s = -a.sign_m
    if a.m == 1:
        a.t = 2
        a.sign_t = a.sign_m
    if a.m == 2:
        a.sign_s = a.sign_m
    return a


@wp.func
def cube_face(d: wp.vec3) -> int:
    """The face that a direction points to, or -1 for a zero vector or one that is not finite."""
    x = wp.abs(d[0])
    y = wp.abs(d[1])
    z = wp.abs(d[2])
    largest = wp.max(x, wp.max(y, z))
    if not (wp.isfinite(d[0]) and wp.isfinite(d[1]) and wp.isfinite(d[2])) or largest == 0.0:
        return -1
    axis = int(2)
    if y == largest:
        axis = 1
    if x == largest:
        axis = 0
    return 2 * axis + wp.where(d[axis] < 0.0, 1, 0)


@wp.func
def cube_position(d: wp.vec3, face: int) -> wp.vec2:
    """(s, t) in [0, 1] on the face."""
    a = face_axes(face)
    half = 0.5 / wp.abs(d[a.m])
    return wp.vec2(
        wp.clamp(float(a.sign_s) * d[a.s] * half + 0.5, 0.0, 1.0),
        wp.clamp(float(a.sign_t) * d[a.t] * half + 0.5, 0.0, 1.0),
    )


@wp.func
def cube_texel(face: int, row: int, column: int, n: int) -> int:
    """Index of a texel within the six faces of n x n; one step outside it is the adjoining texel of the neighbour
    face, and -1 at a corner, where there is none."""
    row_in = row >= 0 and row < n
    column_in = column >= 0 and column < n
    if row_in and column_in:
        return (face * n + row) * n + column
    if not (row_in or column_in):
        return -1
    # The texel's centre as a direction in units of half a texel; the component that leads out becomes the major one
    # and the old major one, at the edge now, becomes the border texel of the neighbour.
    a = face_axes(face)
    d = wp.vec3i(0, 0, 0)
    d[a.s] = a.sign_s * (2 * column + 1 - n)
    d[a.t] = a.sign_t * (2 * row + 1 - n)
    d[a.m] = a.sign_m * (n - 1)
    major = wp.where(column_in, a.t, a.s)
    other = 2 * major + wp.where(d[major] < 0, 1, 0)
    b = face_axes(other)
    new_column = (b.sign_s * d[b.s] + n - 1) // 2
    new_row = (b.sign_t * d[b.t] + n - 1) // 2
    return (other * n + new_row) * n + new_column


@wp.func
def pull_position(d: wp.vec3, face: int, grad: wp.vec2) -> wp.vec3:
    """Gradient of the direction from the gradient of (s, t)."""
    a = face_axes(face)
    m = wp.abs(d[a.m])
    gs = grad[0] * 0.5 / m
    gt = grad[1] * 0.5 / m
    result = wp.vec3()
    result[a.s] = float(a.sign_s) * gs
    result[a.t] = float(a.sign_t) * gt
    result[a.m] = -(float(a.sign_s) * d[a.s] * gs + float(a.sign_t) * d[a.t] * gt) / m * float(a.sign_m)
    return result


@wp.func
def cube_footprint(d: wp.vec3, dx: wp.vec3, dy: wp.vec3, face: int) -> wp.vec4:
    """(ds/dX, ds/dY, dt/dX, dt/dY) for a direction d with the derivatives dx and dy by pixel."""
    a = face_axes(face)
    m = wp.abs(d[a.m])
    ss = float(a.sign_s)
    st = float(a.sign_t)
    qs = ss * d[a.s] / m
    qt = st * d[a.t] / m
    mx = float(a.sign_m) * dx[a.m]
    my = float(a.sign_m) * dy[a.m]
    return (
        wp.vec4(ss * dx[a.s] - qs * mx, ss * dy[a.s] - qs * my, st * dx[a.t] - qt * mx, st * dy[a.t] - qt * my)
        * 0.5
        / m
    )


@wp.struct
class FootprintGradient:
    d: wp.vec3
    dx: wp.vec3
    dy: wp.vec3


@wp.func
def pull_footprint(d: wp.vec3, dx: wp.vec3, dy: wp.vec3, face: int, grad: wp.vec4) -> FootprintGradient:
    """Gradients of d, dx and dy from the gradient of cube_footprint: ds/dX = (sc_X - q m_X) / 2m with q = sc / m."""
    a = face_axes(face)
    m = wp.abs(d[a.m])
    sm = float(a.sign_m)
    ss = float(a.sign_s)
    st = float(a.sign_t)
    qs = ss * d[a.s] / m
    qt = st * d[a.t] / m
    mx = sm * dx[a.m]
    my = sm * dy[a.m]
    g = grad * 0.5 / m
    value = wp.vec4(ss * dx[a.s] - qs * mx, ss * dy[a.s] - qs * my, st * dx[a.t] - qt * mx, st * dy[a.t] - qt * my)
    qs_bar = -(g[0] * mx + g[1] * my)
    qt_bar = -(g[2] * mx + g[3] * my)
    r = FootprintGradient()
    r.dx[a.s] = ss * g[0]
    r.dy[a.s] = ss * g[1]
    r.dx[a.t] = st * g[2]
    r.dy[a.t] = st * g[3]
    r.dx[a.m] = -sm * (qs * g[0] + qt * g[2])
    r.dy[a.m] = -sm * (qs * g[1] + qt * g[3])
    r.d[a.s] = ss * qs_bar / m
    r.d[a.t] = st * qt_bar / m
    r.d[a.m] = -sm * (wp.dot(g, value) + qs_bar * qs + qt_bar * qt) / m
    return r
