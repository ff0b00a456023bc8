# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of antialias: silhouette edges of the triangles, crossings between pixels, blending, gradients.

Pairs of pixels are analysed once, from their left or lower pixel: ``pairs`` holds for every pixel and the one to its
right, and the one above it, how much of the colour difference is blended: positive, if the first of the two receives
it, negative, if the second does, 0 where there is no silhouette. Pixels then gather from their four pairs, so that
nothing is added from two threads.
"""

from __future__ import annotations

from typing import Any

import warp as wp

from .arrays import GROUP_TYPES
from .barycentric_kernels import pixel_x
from .interpolation_kernels import inner

wp.set_module_options({"enable_backward": False})

# Bits of a triangle: edge k, opposite to vertex k, is a silhouette; the triangle is counter-clockwise in the image.
_COUNTER_CLOCKWISE = wp.constant(8)
# A crossing may lie this far beyond the two pixel centres.
_SLACK = wp.constant(0.0625)
# nvdiffrast's regularisation of the position gradient, in pixels.
_EPSILON = wp.constant(1.0e-3)


@wp.struct
class Images:
    """Sizes of a call. ``stride``: vertices, ``mask_stride``: triangles from one image to the next."""

    width: int
    height: int
    triangles: int
    stride: int
    mask_stride: int


@wp.kernel
def orientation_kernel(
    start: int,
    slot: int,
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    sign: wp.array[int],
    triangles: int,
    vertices: int,
):
    """1 where a triangle is counter-clockwise in the image, -1 where it is clockwise, 0 where it is seen edge-on. As in
    nvdiffrast, vertices behind the eye count where they project: the sign of det (x, y, w) / (w0 w1 w2)."""
    i = start + wp.tid()
    image = i // triangles
    v = tri[i - image * triangles] + wp.vec3i(image * vertices, image * vertices, image * vertices)
    a = pos[v[0]]
    b = pos[v[1]]
    c = pos[v[2]]
    m = wp.mat33d(
        wp.float64(a[0]), wp.float64(a[1]), wp.float64(a[3]),
        wp.float64(b[0]), wp.float64(b[1]), wp.float64(b[3]),
        wp.float64(c[0]), wp.float64(c[1]), wp.float64(c[3]),
    )  # fmt: skip
    area = wp.determinant(m)
    if (a[3] < 0.0) != ((b[3] < 0.0) != (c[3] < 0.0)):
        area = -area
    sign[i] = wp.where(area > wp.float64(0.0), 1, wp.where(area < wp.float64(0.0), -1, 0))


@wp.kernel
def silhouette_kernel(
    start: int, slot: int, adjacency: wp.array[int], sign: wp.array[int], mask: wp.array[int], triangles: int
):
    """An edge is a silhouette if it has one triangle only, or both its triangles on the same side in the image."""
    i = start + wp.tid()
    image = i // triangles
    own = sign[i]
    bits = int(0)
    if own != 0:
        for k in range(3):
            neighbour = adjacency[3 * (i - image * triangles) + k]
            if neighbour < 0:
                bits |= 1 << k
            else:
                other = sign[image * triangles + (neighbour >> 1)]
                # the lowest bit tells whether the neighbour runs along the edge in the same direction
                if other == wp.where((neighbour & 1) != 0, own, -own):
                    bits |= 1 << k
    if bits != 0 and own > 0:
        bits |= _COUNTER_CLOCKWISE
    mask[i] = bits


@wp.struct
class Crossing:
    """Where the way from the triangle's pixel ``own`` to its neighbour ``other`` crosses a silhouette edge a - b:
    ``d`` pixels from ``own``. ``target`` receives ``weight`` times the difference of ``source`` and itself."""

    found: int
    target: int
    source: int
    weight: float
    d: float
    own: int
    toward: float
    a: int
    b: int


@wp.func
def to_pair(p: wp.vec4, x: float, y: float, vertical: int, images: Images) -> wp.vec2:
    """Image position in pixels from the point (x, y) = (x/w, y/w), along and across the pair's direction."""
    px = (p[0] - x * p[3]) / p[3] * 0.5 * float(images.width)
    py = (p[1] - y * p[3]) / p[3] * 0.5 * float(images.height)
    if vertical != 0:
        return wp.vec2(py, px)
    return wp.vec2(px, py)


@wp.func
def find_crossing(
    first: int,
    vertical: int,
    rast: wp.array[wp.vec4],
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    mask: wp.array[int],
    images: Images,
) -> Crossing:
    """The pair of the pixel ``first`` and the one to its right, or above it if ``vertical``."""
    result = Crossing()
    second = first + wp.where(vertical != 0, images.width, 1)
    r0 = rast[first]
    r1 = rast[second]
    if r0[3] == r1[3]:
        return result
    own = first
    other = second
    toward = wp.float32(1.0)
    t = int(r0[3]) - 1
    if t < 0 or (r1[3] > 0.0 and r1[2] < r0[2]):
        own = second
        other = first
        toward = -1.0
        t = int(r1[3]) - 1
    if t >= images.triangles:
        return result
    row = own // images.width
    image = row // images.height
    bits = mask[image * images.mask_stride + t]
    if bits == 0:
        return result
    # where the triangle's boundary is left on the way to the other pixel
    leaving = wp.where((bits & _COUNTER_CLOCKWISE) != 0, toward, -toward)
    if vertical != 0:
        leaving = -leaving
    x = pixel_x(own - row * images.width, images.width)
    y = pixel_x(row - image * images.height, images.height)
    v = tri[t] + wp.vec3i(image * images.stride, image * images.stride, image * images.stride)
    k = int(0)
    while k < 3:
        if (bits & (1 << k)) != 0:
            ia = v[(k + 1) % 3]
            ib = v[(k + 2) % 3]
            pa = pos[ia]
            pb = pos[ib]
            if pa[3] != 0.0 and pb[3] != 0.0:
                a = to_pair(pa, x, y, vertical, images)
                b = to_pair(pb, x, y, vertical, images)
                along = b[0] - a[0]
                across = b[1] - a[1]
                if (a[1] >= 0.0) != (b[1] >= 0.0) and wp.abs(across) >= wp.abs(along) and leaving * across > 0.0:
                    d = toward * (a[0] - a[1] * along / across)
                    if d >= -_SLACK and d <= 1.0 + _SLACK:
                        result.found = 1
                        result.d = wp.clamp(d, 0.0, 1.0)
                        result.own = own
                        result.toward = toward
                        result.a = ia
                        result.b = ib
                        result.target = own
                        result.source = other
                        if result.d >= 0.5:
                            result.target = other
                            result.source = own
                        result.weight = wp.abs(result.d - 0.5)
        k += 1
    return result


@wp.kernel
def pair_kernel(
    start: int,
    slot: int,
    rast: wp.array[wp.vec4],
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    mask: wp.array[int],
    pairs: wp.array[float],
    images: Images,
):
    i = start + wp.tid()
    row = i // images.width
    # the last column has nothing to its right, the last row nothing above: their pairs stay 0
    beyond_right = i - row * images.width + 1 == images.width
    beyond_top = row % images.height + 1 == images.height
    triangle = rast[i][3]
    vertical = int(0)
    while vertical < 2:
        weight = wp.float32(0.0)
        beyond = wp.where(vertical != 0, beyond_top, beyond_right)
        second = wp.where(beyond, i, i + wp.where(vertical != 0, images.width, 1))
        if rast[second][3] != triangle:
            c = find_crossing(i, vertical, rast, pos, tri, mask, images)
            if c.found != 0:
                weight = wp.where(c.target == i, c.weight, -c.weight)
        pairs[2 * i + vertical] = weight
        vertical += 1


@wp.func
def pair_of(pixel: int, j: int, images: Images) -> int:
    """Place in ``pairs`` of the pixel's pair j: to the right, above, to the left, below; -1 before the first pixel.

    Left of the first column is the last one of the row below, below the first row the last one of the image before:
    those have pairs of weight 0.
    """
    if j < 2:
        return 2 * pixel + j
    first = pixel - wp.where(j == 3, images.width, 1)
    return wp.where(first >= 0, 2 * first + j - 2, -1)


@wp.func
def neighbour_of(pixel: int, j: int, images: Images) -> int:
    step = wp.where(j % 2 != 0, images.width, 1)
    return wp.where(j < 2, pixel + step, pixel - step)


@wp.kernel
def blend_kernel(
    start: int,
    slot: int,
    color: wp.array[Any],
    pairs: wp.array[float],
    out: wp.array[Any],
    images: Images,
    groups: int,
):
    i = start + wp.tid()
    for g in range(groups):
        out[i * groups + g] = color[i * groups + g]
    j = int(0)
    while j < 4:
        pair = pair_of(i, j, images)
        if pair >= 0:
            # positive where this pixel receives
            weight = wp.where(j < 2, pairs[pair], -pairs[pair])
            if weight > 0.0:
                other = neighbour_of(i, j, images)
                for g in range(groups):
                    change = weight * (color[other * groups + g] - color[i * groups + g])
                    out[i * groups + g] = out[i * groups + g] + change
        j += 1


@wp.kernel
def color_gradient_kernel(
    start: int,
    slot: int,
    grad_out: wp.array[Any],
    pairs: wp.array[float],
    grad_color: wp.array[Any],
    images: Images,
    groups: int,
):
    i = start + wp.tid()
    for g in range(groups):
        grad_color[i * groups + g] = grad_out[i * groups + g]
    j = int(0)
    while j < 4:
        pair = pair_of(i, j, images)
        if pair >= 0:
            weight = wp.where(j < 2, pairs[pair], -pairs[pair])
            if weight != 0.0:
                target = wp.where(weight > 0.0, i, neighbour_of(i, j, images))
                for g in range(groups):
                    change = weight * grad_out[target * groups + g]
                    grad_color[i * groups + g] = grad_color[i * groups + g] - change
        j += 1


@wp.func
def add_position(grad_pos: wp.array[wp.vec4], i: int, p: wp.vec4, grad: wp.vec2, vertical: int, images: Images):
    """From image position (along, across) in pixels to clip space."""
    gx = wp.where(vertical != 0, grad[1], grad[0]) * 0.5 * float(images.width) / p[3]
    gy = wp.where(vertical != 0, grad[0], grad[1]) * 0.5 * float(images.height) / p[3]
    wp.atomic_add(grad_pos, i, wp.vec4(gx, gy, 0.0, -(gx * p[0] + gy * p[1]) / p[3]))


@wp.kernel
def position_gradient_kernel(
    start: int,
    slot: int,
    color: wp.array[Any],
    grad_out: wp.array[Any],
    rast: wp.array[wp.vec4],
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    mask: wp.array[int],
    pairs: wp.array[float],
    grad_pos: wp.array[wp.vec4],
    images: Images,
    groups: int,
    slot_size: int,
    boost: float,
):
    """Through the place of the crossing, (a0 b1 - b0 a1) / (b1 - a1) with a and b as (along, across)."""
    i = start + wp.tid()
    vertical = int(0)
    while vertical < 2:
        if pairs[2 * i + vertical] != 0.0:
            c = find_crossing(i, vertical, rast, pos, tri, mask, images)
            if c.d > 0.0 and c.d < 1.0:
                # both branches of the blend change by (triangle's colour - other colour) per pixel of d
                g = wp.float32(0.0)
                sign = wp.where(c.target == c.own, -1.0, 1.0)
                for k in range(groups):
                    difference = color[c.source * groups + k] - color[c.target * groups + k]
                    g += sign * inner(grad_out[c.target * groups + k], difference)
                g *= c.toward * boost
                row = c.own // images.width
                x = pixel_x(c.own - row * images.width, images.width)
                y = pixel_x(row % images.height, images.height)
                pa = pos[c.a]
                pb = pos[c.b]
                a = to_pair(pa, x, y, vertical, images)
                b = to_pair(pb, x, y, vertical, images)
                across = b[1] - a[1]
                r = 1.0 / (across + wp.where(across < 0.0, -_EPSILON, _EPSILON))
                place = (a[0] * b[1] - b[0] * a[1]) * r
                by_a = wp.vec2(b[1], place - b[0]) * (g * r)
                by_b = wp.vec2(-a[1], a[0] - place) * (g * r)
                base = slot * slot_size
                add_position(grad_pos, base + c.a, pa, by_a, vertical, images)
                add_position(grad_pos, base + c.b, pb, by_b, vertical, images)
        vertical += 1


# Overloads are made here, once, because a module that gains one later is compiled again.
BLEND = {t: wp.overload(blend_kernel, dict.fromkeys(("color", "out"), wp.array[t])) for t in GROUP_TYPES}
COLOR_GRADIENT = {
    t: wp.overload(color_gradient_kernel, dict.fromkeys(("grad_out", "grad_color"), wp.array[t])) for t in GROUP_TYPES
}
POSITION_GRADIENT = {
    t: wp.overload(position_gradient_kernel, dict.fromkeys(("color", "grad_out"), wp.array[t])) for t in GROUP_TYPES
}
