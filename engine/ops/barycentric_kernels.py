# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels from triangle ids to perspective-correct barycentrics, and back to gradients of clip-space positions."""

from __future__ import annotations

import warp as wp

from .rasterize_kernels import EMPTY, LOW

wp.set_module_options({"enable_backward": False})

# nvdiffrast's regularisation: keeps the gradient of triangles that are seen edge-on finite.
_EPSILON = wp.constant(1.0e-6)


@wp.struct
class Weights:
    """Homogeneous barycentrics of a pixel, see weigh."""

    q0: wp.vec2
    q1: wp.vec2
    q2: wp.vec2
    a: wp.vec3
    sum: float


@wp.func
def cross2(a: wp.vec2, b: wp.vec2) -> float:
    return a[0] * b[1] - a[1] * b[0]


@wp.func
def weigh(p0: wp.vec4, p1: wp.vec4, p2: wp.vec4, x: float, y: float) -> Weights:
    """Perspective-correct weights at image position (x, y) = (x/w, y/w): with the vertices moved to
    q_i = (x_i - x w_i, y_i - y w_i), the weight of a vertex is the signed area of the origin and the other two."""
    r = Weights()
    r.q0 = wp.vec2(p0[0] - x * p0[3], p0[1] - y * p0[3])
    r.q1 = wp.vec2(p1[0] - x * p1[3], p1[1] - y * p1[3])
    r.q2 = wp.vec2(p2[0] - x * p2[3], p2[1] - y * p2[3])
    r.a = wp.vec3(cross2(r.q1, r.q2), cross2(r.q2, r.q0), cross2(r.q0, r.q1))
    r.sum = r.a[0] + r.a[1] + r.a[2]
    return r


@wp.func
def depth_at(a: wp.vec3, p0: wp.vec4, p1: wp.vec4, p2: wp.vec4) -> float:
    """z/w where the weights are ``a`` up to a factor."""
    z = a[0] * p0[2] + a[1] * p1[2] + a[2] * p2[2]
    w = a[0] * p0[3] + a[1] * p1[3] + a[2] * p2[3]
    if w == 0.0:
        return 0.0
    return z / w


@wp.func
def areas_dx(r: Weights, w: wp.vec3) -> wp.vec3:
    """Derivatives of the three areas by x, from dq_i/dx = (-w_i, 0)."""
    return wp.vec3(
        w[2] * r.q1[1] - w[1] * r.q2[1],
        w[0] * r.q2[1] - w[2] * r.q0[1],
        w[1] * r.q0[1] - w[0] * r.q1[1],
    )


@wp.func
def areas_dy(r: Weights, w: wp.vec3) -> wp.vec3:
    """Derivatives of the three areas by y, from dq_i/dy = (0, -w_i)."""
    return wp.vec3(
        w[1] * r.q2[0] - w[2] * r.q1[0],
        w[2] * r.q0[0] - w[0] * r.q2[0],
        w[0] * r.q1[0] - w[1] * r.q0[0],
    )


@wp.func
def pixel_x(x: int, width: int) -> float:
    return float(2 * x + 1 - width) / float(width)


@wp.kernel
def resolve_kernel(
    start: int,
    slot: int,
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    keys: wp.array[wp.uint64],
    rast: wp.array[wp.vec4],
    rast_db: wp.array[wp.vec4],
    vertices: int,
    width: int,
    height: int,
):
    """Key to (u, v, z/w, index + 1) and the derivatives of u and v by pixel."""
    i = start + wp.tid()
    key = keys[i]
    if key == EMPTY:
        rast[i] = wp.vec4()
        rast_db[i] = wp.vec4()
        return
    t = int(LOW - (key & LOW))
    row = i // width
    image = row // height
    v = tri[t] + wp.vec3i(image * vertices, image * vertices, image * vertices)
    p0 = pos[v[0]]
    p1 = pos[v[1]]
    p2 = pos[v[2]]
    r = weigh(p0, p1, p2, pixel_x(i - row * width, width), pixel_x(row - image * height, height))
    inverse = wp.float32(0.0)
    if r.sum != 0.0:
        inverse = 1.0 / r.sum
    u = r.a[0] * inverse
    v1 = r.a[1] * inverse
    w = wp.vec3(p0[3], p1[3], p2[3])
    dx = areas_dx(r, w)
    dy = areas_dy(r, w)
    sum_dx = dx[0] + dx[1] + dx[2]
    sum_dy = dy[0] + dy[1] + dy[2]
    sx = 2.0 / float(width) * inverse
    sy = 2.0 / float(height) * inverse
    rast_db[i] = wp.vec4(
        (dx[0] - u * sum_dx) * sx, (dy[0] - u * sum_dy) * sy, (dx[1] - v1 * sum_dx) * sx, (dy[1] - v1 * sum_dy) * sy
    )
    u = wp.clamp(u, 0.0, 1.0)
    v1 = wp.clamp(v1, 0.0, 1.0)
    scale = wp.where(u + v1 > 1.0, 1.0 / (u + v1), 1.0)
    rast[i] = wp.vec4(u * scale, v1 * scale, wp.clamp(depth_at(r.a, p0, p1, p2), -1.0, 1.0), float(t + 1))


@wp.kernel
def position_gradient_kernel(
    start: int,
    slot: int,
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    rast: wp.array[wp.vec4],
    grad_rast: wp.array[wp.vec4],
    grad_rast_db: wp.array[wp.vec4],
    grad_pos: wp.array[wp.vec4],
    with_rast: int,
    with_db: int,
    slot_size: int,
    vertices: int,
    width: int,
    height: int,
):
    """Reverse of u = a0 / D, du/dX = (dX a0 - u dX D) / D and so on (areas a, their sum D; see weigh)."""
    i = start + wp.tid()
    t = int(rast[i][3]) - 1
    if t < 0:
        return
    gu = wp.float32(0.0)
    gv = wp.float32(0.0)
    if with_rast != 0:
        gu = grad_rast[i][0]
        gv = grad_rast[i][1]
    gux = wp.float32(0.0)
    guy = wp.float32(0.0)
    gvx = wp.float32(0.0)
    gvy = wp.float32(0.0)
    if with_db != 0:
        db = grad_rast_db[i]
        gux = db[0] * 2.0 / float(width)
        guy = db[1] * 2.0 / float(height)
        gvx = db[2] * 2.0 / float(width)
        gvy = db[3] * 2.0 / float(height)
    if gu == 0.0 and gv == 0.0 and gux == 0.0 and guy == 0.0 and gvx == 0.0 and gvy == 0.0:
        return
    row = i // width
    image = row // height
    x = pixel_x(i - row * width, width)
    y = pixel_x(row - image * height, height)
    v = tri[t] + wp.vec3i(image * vertices, image * vertices, image * vertices)
    p0 = pos[v[0]]
    p1 = pos[v[1]]
    p2 = pos[v[2]]
    w = wp.vec3(p0[3], p1[3], p2[3])
    f = weigh(p0, p1, p2, x, y)
    r = 1.0 / (f.sum + wp.where(f.sum < 0.0, -_EPSILON, _EPSILON))
    b0 = f.a[0] * r
    b1 = f.a[1] * r
    # areas, reached through u and v
    au = gu
    av = gv
    r_bar = wp.float32(0.0)
    ax = wp.vec3()
    ay = wp.vec3()
    if with_db != 0:
        dx = areas_dx(f, w)
        dy = areas_dy(f, w)
        sum_dx = dx[0] + dx[1] + dx[2]
        sum_dy = dy[0] + dy[1] + dy[2]
        au -= (gux * sum_dx + guy * sum_dy) * r
        av -= (gvx * sum_dx + gvy * sum_dy) * r
        r_bar = (
            gux * (dx[0] - b0 * sum_dx)
            + guy * (dy[0] - b0 * sum_dy)
            + gvx * (dx[1] - b1 * sum_dx)
            + gvy * (dy[1] - b1 * sum_dy)
        )
        sum_dx_bar = -(gux * b0 + gvx * b1) * r
        sum_dy_bar = -(guy * b0 + gvy * b1) * r
        ax = wp.vec3(gux * r + sum_dx_bar, gvx * r + sum_dx_bar, sum_dx_bar)
        ay = wp.vec3(guy * r + sum_dy_bar, gvy * r + sum_dy_bar, sum_dy_bar)
    r_bar += au * f.a[0] + av * f.a[1]
    sum_bar = -r_bar * r * r
    a = wp.vec3(au * r + sum_bar, av * r + sum_bar, sum_bar)
    # moved vertices q_i and w_i, from a_i = q_j x q_k, dX a_i = w_k q_j.y - w_j q_k.y, dY a_i = w_j q_k.x - w_k q_j.x
    q0x = a[1] * -f.q2[1] + a[2] * f.q1[1] + ay[1] * w[2] - ay[2] * w[1]
    q0y = a[1] * f.q2[0] - a[2] * f.q1[0] - ax[1] * w[2] + ax[2] * w[1]
    q1x = a[2] * -f.q0[1] + a[0] * f.q2[1] + ay[2] * w[0] - ay[0] * w[2]
    q1y = a[2] * f.q0[0] - a[0] * f.q2[0] - ax[2] * w[0] + ax[0] * w[2]
    q2x = a[0] * -f.q1[1] + a[1] * f.q0[1] + ay[0] * w[1] - ay[1] * w[0]
    q2y = a[0] * f.q1[0] - a[1] * f.q0[0] - ax[0] * w[1] + ax[1] * w[0]
    w0 = ax[1] * f.q2[1] - ax[2] * f.q1[1] - ay[1] * f.q2[0] + ay[2] * f.q1[0]
    w1 = ax[2] * f.q0[1] - ax[0] * f.q2[1] - ay[2] * f.q0[0] + ay[0] * f.q2[0]
    w2 = ax[0] * f.q1[1] - ax[1] * f.q0[1] - ay[0] * f.q1[0] + ay[1] * f.q0[0]
    base = slot * slot_size
    wp.atomic_add(grad_pos, base + v[0], wp.vec4(q0x, q0y, 0.0, w0 - x * q0x - y * q0y))
    wp.atomic_add(grad_pos, base + v[1], wp.vec4(q1x, q1y, 0.0, w1 - x * q1x - y * q1y))
    wp.atomic_add(grad_pos, base + v[2], wp.vec4(q2x, q2y, 0.0, w2 - x * q2x - y * q2y))
