# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradient of the lobe weights (bsdf.py), written by hand: five times as fast as Warp's automatic adjoint, against
which tests/engine/shading/test_lobes.py checks it. Names follow `lobes_of`; g_x is the derivative of the loss by x."""

from __future__ import annotations

import warp as wp

from .bsdf import (
    MIN_ALPHA2,
    Tables,
    dielectric_of,
    edge_of,
    fraction_of,
    lift_normal,
    multiscatter_gain,
    node_of,
)


@wp.struct
class Slopes:
    """A table's value and its derivatives by roughness and by the cosine of the view."""

    value: float
    by_roughness: float
    by_nv: float


@wp.func
def _slopes1(table: wp.array(dtype=wp.float32), x: float):
    n = table.shape[0]
    i = node_of(x, n)
    s = Slopes()
    s.value = wp.lerp(table[i], table[i + 1], fraction_of(x, n, i))
    s.by_roughness = (table[i + 1] - table[i]) * float(n - 1)
    return s


@wp.func
def _bilinear(a00: float, a01: float, a10: float, a11: float, fx: float, fy: float, nx: int, ny: int):
    low = wp.lerp(a00, a01, fy)
    high = wp.lerp(a10, a11, fy)
    s = Slopes()
    s.value = wp.lerp(low, high, fx)
    s.by_roughness = (high - low) * float(nx - 1)
    s.by_nv = wp.lerp(a01 - a00, a11 - a10, fx) * float(ny - 1)
    return s


@wp.func
def _slopes2(table: wp.array2d(dtype=wp.float32), x: float, y: float):
    nx = table.shape[0]
    ny = table.shape[1]
    i = node_of(x, nx)
    j = node_of(y, ny)
    fx = fraction_of(x, nx, i)
    fy = fraction_of(y, ny, j)
    return _bilinear(table[i, j], table[i, j + 1], table[i + 1, j], table[i + 1, j + 1], fx, fy, nx, ny)


@wp.func
def _slopes3(table: wp.array3d(dtype=wp.float32), x: float, y: float, z: float):
    nx = table.shape[0]
    ny = table.shape[1]
    i = node_of(x, nx)
    j = node_of(y, ny)
    k = node_of(z, table.shape[2])
    fz = fraction_of(z, table.shape[2], k)
    a00 = wp.lerp(table[i, j, k], table[i, j, k + 1], fz)
    a01 = wp.lerp(table[i, j + 1, k], table[i, j + 1, k + 1], fz)
    a10 = wp.lerp(table[i + 1, j, k], table[i + 1, j, k + 1], fz)
    a11 = wp.lerp(table[i + 1, j + 1, k], table[i + 1, j + 1, k + 1], fz)
    return _bilinear(a00, a01, a10, a11, fraction_of(x, nx, i), fraction_of(y, ny, j), nx, ny)


@wp.func
def _gain_slopes(fss: float, e_avg: float):
    """Of multiscatter_gain = 1 + q missing: q, and missing times these are its derivatives by fss and e_avg."""
    d = 1.0 - fss * (1.0 - e_avg)
    return wp.vec3(fss * e_avg / d, e_avg / (d * d), fss * (1.0 - fss) / (d * d))


@wp.func
def _within(x: float, low: float, high: float):
    """Slope of wp.clamp."""
    result = float(1.0)
    if x < low or x > high:
        result = 0.0
    return result


@wp.struct
class MetalGradient:
    """What one channel of the metal's lobes adds to the gradients."""

    g_metallic: float
    g_missing: float
    g_e_avg: float
    g_base: float
    g_tint: float


@wp.func
def _metal_gradient(
    metallic: float,
    base: float,
    tint: float,
    e_avg: float,
    missing: float,
    g_constant: float,
    g_schlick: float,
    g_edge: float,
):
    m = MetalGradient()
    clamped = wp.clamp(base, 0.0, 1.0)
    edge = edge_of(clamped, tint)
    fss = clamped + (1.0 - clamped) / 21.0 - edge / 126.0
    gain = multiscatter_gain(fss, e_avg, missing)
    g_metal = g_constant * clamped + g_schlick * (1.0 - clamped) - g_edge * edge
    m.g_metallic = g_metal * gain
    slopes = _gain_slopes(fss, e_avg)
    m.g_missing = metallic * g_metal * slopes[0]
    m.g_e_avg = metallic * g_metal * missing * slopes[2]
    g_fss = metallic * g_metal * missing * slopes[1]
    g_of_edge = -metallic * gain * g_edge - g_fss / 126.0
    # edge_of is linear in both of its arguments
    g_clamped = metallic * gain * (g_constant - g_schlick) + g_fss * (20.0 / 21.0)
    g_clamped += g_of_edge * (edge_of(1.0, tint) - edge_of(0.0, tint))
    m.g_base = g_clamped * _within(base, 0.0, 1.0)
    m.g_tint = 0.0
    if tint < 1.0:
        m.g_tint = -g_of_edge * edge_of(clamped, 0.0)
    return m


@wp.func
def by_lifted(g: wp.vec3, lifted: wp.vec3, normal: wp.vec3, geometric: wp.vec3, view: wp.vec3):
    """Derivative by `normal` where `g` is that by `lifted`, which is lift_normal(normal, geometric, view)."""
    result = g
    along = normal - wp.dot(normal, geometric) * geometric
    length = wp.length(along)
    if length > 1.0e-6 and wp.length_sq(lifted - normal) > 0.0:
        # As in lift_normal: lifted = (sin p, cos p), view = (vx, vz), 2 p = middle +- turn, and only vx and the
        # direction x depend on the normal.
        x = along / length
        vx = wp.dot(view, x)
        vz = wp.dot(view, geometric)
        sine = wp.dot(lifted, x)
        cosine = wp.dot(lifted, geometric)
        r2 = vx * vx + vz * vz
        c = wp.min(0.9 * vz, 0.01) / wp.sqrt(r2)
        turn = c * vx / (r2 * wp.sqrt(wp.max(1.0 - c * c, 1.0e-12)))
        if 2.0 * wp.atan2(sine, cosine) < wp.atan2(vx, vz):
            turn = -turn
        p = 0.5 * (vz / r2 + turn)
        by_x = sine * g + (p * (cosine * wp.dot(g, x) - sine * wp.dot(g, geometric))) * view
        result = (by_x - wp.dot(by_x, geometric) * geometric - wp.dot(by_x, x) * x) / length
    return result


@wp.func
def _largest(v: wp.vec3):
    """Index of the largest component, the last of equal ones."""
    top = int(2)
    if wp.max(v[0], v[1]) > v[2]:
        top = 1
        if v[0] > v[1]:
            top = 0
    return top


@wp.kernel(enable_backward=False)
def lobes_backward_kernel(
    start: int,
    slot: int,
    surface: wp.array2d(dtype=wp.float32),
    normal: wp.array(dtype=wp.vec3),
    geometric: wp.array(dtype=wp.vec3),
    view: wp.array(dtype=wp.vec3),
    tables: Tables,
    grad_out: wp.array2d(dtype=wp.float32),
    grad_surface: wp.array2d(dtype=wp.float32),
    grad_normal: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    roughness = surface[i, 4]
    metallic = surface[i, 3]
    multiscatter = surface[i, 10]
    lifted = lift_normal(normal[i], geometric[i], view[i])
    cosine = wp.dot(lifted, view[i])
    nv = wp.clamp(cosine, 1.0e-4, 1.0)
    e = _slopes2(tables.e, roughness, nv)
    e_avg = _slopes1(tables.e_avg, roughness)
    missing = multiscatter * (1.0 - e.value) / e.value
    dielectric = dielectric_of(surface[i, 5], surface[i, 6])
    albedo = _slopes3(tables.s, roughness, nv, dielectric.z)
    weight = (1.0 - metallic) * dielectric.present

    f0c = wp.vec3(0.0, 0.0, 0.0)
    gain = wp.vec3(0.0, 0.0, 0.0)
    layer = wp.vec3(0.0, 0.0, 0.0)
    for c in range(3):
        f0c[c] = wp.min(dielectric.f0 * surface[i, 7 + c], 1.0)
        gain[c] = multiscatter_gain(f0c[c] + (1.0 - f0c[c]) * dielectric.f_mean, e_avg.value, missing)
        layer[c] = gain[c] * (f0c[c] + (1.0 - f0c[c]) * albedo.value) / (1.0 + missing)
    top = _largest(layer)
    below = 1.0 - dielectric.present * wp.clamp(layer[top], 0.0, 1.0)

    g_metallic = float(0.0)
    g_below = float(0.0)
    g_missing = float(0.0)
    g_e_avg = float(0.0)
    g_f0c = wp.vec3(0.0, 0.0, 0.0)
    g_gain = wp.vec3(0.0, 0.0, 0.0)
    for c in range(3):
        g_diffuse = grad_out[i, c]
        g_constant = grad_out[i, 3 + c]
        g_schlick = grad_out[i, 6 + c]
        g_edge = grad_out[i, 9 + c]
        g_dielectric = grad_out[i, 12 + c]
        base = surface[i, c]
        tint = surface[i, 7 + c]

        # dielectric lobe, and diffuse below it
        g_specular = g_constant * f0c[c] + g_dielectric * (1.0 - f0c[c])
        g_gain[c] = weight * g_specular
        g_f0c[c] = weight * gain[c] * (g_constant - g_dielectric)
        g_below += g_diffuse * base * (1.0 - metallic)
        g_metallic -= g_diffuse * base * below + dielectric.present * gain[c] * g_specular
        g_base = g_diffuse * (1.0 - metallic) * below

        m = _metal_gradient(metallic, base, tint, e_avg.value, missing, g_constant, g_schlick, g_edge)
        g_metallic += m.g_metallic
        g_missing += m.g_missing
        g_e_avg += m.g_e_avg
        grad_surface[i, c] = g_base + m.g_base
        grad_surface[i, 7 + c] = m.g_tint

    # what the dielectric layer takes from the diffuse lobe depends on its strongest channel
    g_layer = -dielectric.present * g_below * _within(layer[top], 0.0, 1.0) / (1.0 + missing)
    g_gain[top] = g_gain[top] + g_layer * (f0c[top] + (1.0 - f0c[top]) * albedo.value)
    g_f0c[top] = g_f0c[top] + g_layer * gain[top] * (1.0 - albedo.value)
    g_albedo = g_layer * gain[top] * (1.0 - f0c[top])
    g_missing -= g_layer * layer[top]
    for c in range(3):
        slopes = _gain_slopes(f0c[c] + (1.0 - f0c[c]) * dielectric.f_mean, e_avg.value)
        g_missing += g_gain[c] * slopes[0]
        g_e_avg += g_gain[c] * missing * slopes[2]
        g = g_f0c[c] + g_gain[c] * missing * slopes[1] * (1.0 - dielectric.f_mean)
        if dielectric.f0 * surface[i, 7 + c] < 1.0:
            grad_surface[i, 7 + c] = grad_surface[i, 7 + c] + g * dielectric.f0

    g_e = -g_missing * multiscatter / (e.value * e.value)
    g_roughness = g_e * e.by_roughness + g_e_avg * e_avg.by_roughness + g_albedo * albedo.by_roughness
    g_roughness *= _within(roughness, 0.0, 1.0)
    cube = roughness * roughness * roughness
    if cube * roughness > MIN_ALPHA2:
        g_roughness += grad_out[i, 16] * 4.0 * cube
    grad_surface[i, 3] = g_metallic
    grad_surface[i, 4] = g_roughness
    grad_surface[i, 5] = 0.0  # index of refraction, specular level and multiple scattering are not fitted
    grad_surface[i, 6] = 0.0
    grad_surface[i, 10] = 0.0
    g_nv = (g_e * e.by_nv + g_albedo * albedo.by_nv) * _within(cosine, 1.0e-4, 1.0)
    grad_normal[i] = by_lifted(g_nv * view[i], lifted, normal[i], geometric[i], view[i])
