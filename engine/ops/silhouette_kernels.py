# SPDX-License-Identifier: GPL-3.0-or-later
# mypy: ignore-errors
"""Warp kernels of silhouette_gradient: walk along every silhouette edge of the mesh, in steps of half a pixel."""

from __future__ import annotations

import warp as wp

from .antialias_kernels import Images

wp.set_module_options({"enable_backward": False})

_COUNTER_CLOCKWISE = wp.constant(8)
# Pixels between two places on an edge.
_STEP = wp.constant(0.5)
# Edges shorter than this many pixels take the direction of the outline from the surface.
_SHORT = wp.constant(4.0)
# More steps an edge than any screen has pixels across.
_MOST_STEPS = wp.constant(65536)
# A pixel tells the colour of a side if its centre is at least so far (pixels) on that side of the edge: coverage is
# decided on vertices rounded to 1/16 pixel, and the outline of a dense mesh zigzags a little.
_CLEAR = wp.constant(0.15)


@wp.struct
class Place:
    """Pixels on the two sides of a visible place on a silhouette edge: those nearest to it, and those that tell the
    colours; ``found`` is 0 where none is visible."""

    found: int
    inside: int
    outside: int
    next_inside: int
    next_outside: int


@wp.func
def plane_distance(p: wp.vec4, k: int) -> float:
    """Signed distance, times w, to a side of the view volume; positive inside."""
    side = wp.where(k % 2 == 0, 1.0, -1.0)
    return p[3] + side * p[k // 2]


@wp.func
def visible_part(a: wp.vec4, b: wp.vec4) -> wp.vec2:
    """Fractions of a - b between which it lies in the view volume; the first exceeds the second if it does nowhere."""
    first = float(0.0)
    last = float(1.0)
    for k in range(6):
        da = plane_distance(a, k)
        db = plane_distance(b, k)
        if da < 0.0 and db < 0.0:
            last = -1.0
        elif da < 0.0:
            first = wp.max(first, da / (da - db))
        elif db < 0.0:
            last = wp.min(last, da / (da - db))
    return wp.vec2(first, last)


@wp.func
def on_screen(p: wp.vec4, width: int, height: int) -> wp.vec2:
    """Image position in pixels, (0, 0) at the lower left corner."""
    return wp.vec2((0.5 * p[0] / p[3] + 0.5) * float(width), (0.5 * p[1] / p[3] + 0.5) * float(height))


@wp.func
def surface_direction(t: int, base: int, pos: wp.array[wp.vec4], tri: wp.array[wp.vec3i], images: Images) -> wp.vec2:
    """How the outward normal of a triangle that is wound counter-clockwise points on the screen; its length does not
    matter, but is that of the triangle's share in the surface."""
    v = tri[t]
    a = pos[base + v[0]]
    b = pos[base + v[1]]
    c = pos[base + v[2]]
    sa = on_screen(a, images.width, images.height)
    e = on_screen(b, images.width, images.height) - sa
    f = on_screen(c, images.width, images.height) - sa
    ez = b[2] / b[3] - a[2] / a[3]
    fz = c[2] / c[3] - a[2] / a[3]
    return wp.vec2(ez * f[1] - e[1] * fz, e[0] * fz - ez * f[0])  # z/w grows away from the viewer


@wp.func
def find_place(
    s: wp.vec2,
    depth: float,
    normal: wp.vec2,
    turn: int,
    image: int,
    rast: wp.array[wp.vec4],
    sign: wp.array[int],
    images: Images,
) -> Place:
    """Where the edge is at ``s``, at this z/w, with what it bounds on the side against ``normal``.

    There, triangles must be seen counter-clockwise (``turn`` 1), clockwise (-1), or either way (0).
    """
    place = Place()
    column = int(wp.floor(s[0]))
    row = int(wp.floor(s[1]))
    if column < 0 or row < 0 or column >= images.width or row >= images.height:
        return place
    inside = int(-1)
    outside = int(-1)
    near_inside = float(1.0e9)
    near_outside = float(1.0e9)
    next_inside = float(1.0e9)
    next_outside = float(1.0e9)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            x = column + dx
            y = row + dy
            if x >= 0 and y >= 0 and x < images.width and y < images.height:
                away = wp.vec2(float(x) + 0.5 - s[0], float(y) + 0.5 - s[1])
                along = wp.dot(away, normal)
                apart = wp.dot(away, away)
                pixel = (image * images.height + y) * images.width + x
                if along < 0.0 and apart < next_inside:
                    next_inside = apart
                    place.next_inside = pixel
                if along >= 0.0 and apart < next_outside:
                    next_outside = apart
                    place.next_outside = pixel
                if along < -_CLEAR and apart < near_inside and rast[pixel][3] != 0.0:
                    near_inside = apart
                    inside = pixel
                if along > _CLEAR and apart < near_outside:
                    near_outside = apart
                    outside = pixel
    if inside < 0 or outside < 0:
        return place
    front = rast[inside]
    behind = rast[outside]
    # Hidden, or not sampled: what lies beyond the edge must be farther away than the edge and than its own surface.
    if behind[3] != 0.0 and (behind[2] < depth or behind[2] < front[2]):
        return place
    seen = sign[image * images.mask_stride + int(front[3]) - 1]
    if seen == -turn and turn != 0:
        return place
    place.found = 1
    place.inside = inside
    place.outside = outside
    return place


@wp.func
def add_screen_gradient(
    p: wp.vec4, toward: wp.vec2, width: int, height: int, share: float, index: int, grad: wp.array[wp.vec4]
):
    """Add ``share`` of the gradient that moves ``p`` by ``toward`` (pixels) on the screen."""
    x = 0.5 * float(width) * toward[0] / p[3] * share
    y = 0.5 * float(height) * toward[1] / p[3] * share
    wp.atomic_add(grad, index, wp.vec4(x, y, 0.0, -(x * p[0] + y * p[1]) / p[3]))


@wp.kernel
def edge_gradient_kernel(
    start: int,
    slot: int,
    color: wp.array[float],
    grad_color: wp.array[float],
    rast: wp.array[wp.vec4],
    pos: wp.array[wp.vec4],
    tri: wp.array[wp.vec3i],
    adjacency: wp.array[int],
    mask: wp.array[int],
    sign: wp.array[int],
    grad: wp.array[wp.vec4],
    images: Images,
    channels: int,
    vertices: int,
    first: wp.array[wp.vec2i],
):
    """Boundary term of the edges of one triangle in one image: each silhouette edge is walked once, from the triangle
    of lower index. ``first``: (first triangle, count) of each image."""
    i = start + wp.tid()
    image = i // images.triangles
    local = i - image * images.triangles
    if local >= first[image][1]:
        return
    t = first[image][0] + local
    bits = mask[wp.where(images.mask_stride == 0, t, image * images.mask_stride + t)]
    if bits == 0:
        return
    corner = tri[t]
    for k in range(3):
        other = adjacency[3 * t + k]
        if (bits & (1 << k)) == 0 or (other >= 0 and (other >> 1) < t and (other >> 1) >= first[image][0]):
            continue
        ia = image * images.stride + corner[(k + 1) % 3]
        ib = image * images.stride + corner[(k + 2) % 3]
        a = pos[ia]
        b = pos[ib]
        part = visible_part(a, b)
        if not (part[0] < part[1]):
            continue
        p0 = a * (1.0 - part[0]) + b * part[0]
        p1 = a * (1.0 - part[1]) + b * part[1]
        if not (p0[3] > 1.0e-12 and p1[3] > 1.0e-12):
            continue
        s0 = on_screen(p0, images.width, images.height)
        s1 = on_screen(p1, images.width, images.height)
        length = wp.length(s1 - s0)
        if not (length > 0.0 and length < 1.0e6):
            continue
        normal = wp.vec2(s1[1] - s0[1], s0[0] - s1[0]) / length
        if (bits & _COUNTER_CLOCKWISE) == 0:
            normal = -normal
        side = normal
        turn = int(0)
        if other >= 0:
            turn = 1
            # The silhouette edges of a smooth mesh zigzag: some run across the outline, and those at concave folds, a
            # fraction of a pixel behind the outline, run backwards. Their sum is right if all are given what lies on
            # the two sides of the smooth outline.
            base = image * images.stride
            mean = surface_direction(other >> 1, base, pos, tri, images)
            if (other & 1) != 0:
                mean = -mean
            mean += surface_direction(t, base, pos, tri, images)
            if length < _SHORT and wp.length(mean) > 0.0:
                side = wp.normalize(mean)
            elif wp.dot(mean, normal) < 0.0:
                side = -normal
        steps = wp.min(int(wp.ceil(length / _STEP)), _MOST_STEPS)
        for step in range(steps):
            f = (float(step) + 0.5) / float(steps)
            s = s0 + (s1 - s0) * f
            depth = p0[2] / p0[3] * (1.0 - f) + p1[2] / p1[3] * f
            place = find_place(s, depth, side, turn, image, rast, sign, images)
            if place.found == 0 and turn != 0:  # the side that is wound clockwise may be seen here
                place = find_place(s, depth, -side, -turn, image, rast, sign, images)
            if place.found == 0:
                continue
            total = float(0.0)
            for c in range(channels):
                difference = color[place.inside * channels + c] - color[place.outside * channels + c]
                # What one sample a pixel shows here is in half of the cases inside and in half outside.
                total += 0.5 * difference * (grad_color[place.next_inside * channels + c]
                                             + grad_color[place.next_outside * channels + c])  # fmt: skip
            if total == 0.0:
                continue
            # the fraction of the visible part is perspective-correct; that of the edge follows linearly
            m = f / p1[3] / ((1.0 - f) / p0[3] + f / p1[3])
            m = part[0] + (part[1] - part[0]) * m
            toward = normal * (total * length / float(steps))
            p = a * (1.0 - m) + b * m
            add_screen_gradient(p, toward, images.width, images.height, 1.0 - m, slot * vertices + ia, grad)
            add_screen_gradient(p, toward, images.width, images.height, m, slot * vertices + ib, grad)
