# SPDX-License-Identifier: GPL-3.0-or-later
"""Specular lobes of anisotropic surfaces, in a pass of their own: pixels without a grain stay with shade.py.

The lobes are those of bsdf.py with GGX stretched along a tangent (docs/blender-image-formation.md §3.1); the weights
come from lobes.py, worked out at the roughness whose alpha² is alpha_x alpha_y.
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from .bsdf import PI, relative_fresnel, specular_reflectance
from .lobes import read_lobes
from .lobes_backward import by_lifted
from .samples import SampleArrays, Samples
from .shade import (
    Frame,
    PixelFrames,
    Pixels,
    frame_of,
    incident_light,
    lit_side,
    scatter_gradient,
    shade_gradients,
    shade_inputs,
)

# Columns of a grain row: tangent 0-2 (any length), aspect 3 (0: isotropic), cosine and sine of its turn 4, 5.
GRAIN_WIDTH = 6
SPECULAR = slice(3, 15)
ALPHA2 = 16


@wp.struct
class Grain:
    """The stretched lobe of one pixel."""

    aspect: float
    ax: float
    ay: float
    clamped: int  # 1 where alpha_x has reached 1
    x: wp.vec3  # with y and the normal an orthogonal frame
    y: wp.vec3


@wp.struct
class Stretched:
    """D G2 / (4 nv) of the stretched lobe, and the slopes of its logarithm."""

    core: float
    by_ax: float
    by_ay: float
    by_x: wp.vec3  # by the frame's axes, as free vectors
    by_y: wp.vec3
    by_normal: wp.vec3


@wp.func
def _turned(rows: wp.array2d(dtype=wp.float32), i: int, normal: wp.vec3):
    """The tangent turned about the shading normal, to which it need not be perpendicular."""
    t = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    c = rows[i, 4]
    return t * c + wp.cross(normal, t) * rows[i, 5] + normal * (wp.dot(normal, t) * (1.0 - c))


@wp.func
def _grain(rows: wp.array2d(dtype=wp.float32), i: int, frame: Frame, alpha2: float):
    g = Grain()
    g.aspect = rows[i, 3]
    if g.aspect > 0.0:
        g.ax = wp.sqrt(alpha2) / g.aspect
        if g.ax > 1.0:
            g.ax = 1.0
            g.clamped = 1
        g.ay = alpha2 / g.ax
        t = _turned(rows, i, frame.normal)
        g.x = wp.normalize(t - frame.lifted * wp.dot(t, frame.lifted))
        g.y = wp.cross(frame.lifted, g.x)
    return g


@wp.func
def _stretched(g: Grain, normal: wp.vec3, view: wp.vec3, light: wp.vec3):
    """For light and view above the surface. The half vector may have any length, which cancels out."""
    s = Stretched()
    half = light + view
    half2 = wp.length_sq(half)
    ax2 = g.ax * g.ax
    ay2 = g.ay * g.ay
    hx = wp.dot(g.x, half)
    hy = wp.dot(g.y, half)
    hz = wp.dot(normal, half)
    lx = wp.dot(g.x, light)
    ly = wp.dot(g.y, light)
    nl = wp.dot(normal, light)
    vx = wp.dot(g.x, view)
    vy = wp.dot(g.y, view)
    nv = wp.dot(normal, view)
    q = hx * hx / ax2 + hy * hy / ay2 + hz * hz
    gv = wp.sqrt(nv * nv + ax2 * vx * vx + ay2 * vy * vy)
    gl = wp.sqrt(nl * nl + ax2 * lx * lx + ay2 * ly * ly)
    by_q = 1.0 / q
    by_s = 1.0 / (nl * gv + nv * gl)
    s.core = nl * (half2 * by_q) * (half2 * by_q) * by_s / (2.0 * PI * g.ax * g.ay)
    ofl = nv / gl * by_s  # slopes of the masking term by gl² / 2 and gv² / 2
    ofv = nl / gv * by_s
    s.by_ax = -1.0 / g.ax + 4.0 * hx * hx * by_q / (ax2 * g.ax) - g.ax * (ofv * vx * vx + ofl * lx * lx)
    s.by_ay = -1.0 / g.ay + 4.0 * hy * hy * by_q / (ay2 * g.ay) - g.ay * (ofv * vy * vy + ofl * ly * ly)
    s.by_x = half * (-4.0 * hx * by_q / ax2) - light * (ofl * ax2 * lx) - view * (ofv * ax2 * vx)
    s.by_y = half * (-4.0 * hy * by_q / ay2) - light * (ofl * ay2 * ly) - view * (ofv * ay2 * vy)
    s.by_normal = half * (-4.0 * hz * by_q)
    s.by_normal += light * (1.0 / nl - gv * by_s - ofl * nl) - view * (gl * by_s + ofv * nv)
    return s


@wp.kernel(enable_backward=False)
def _shade_grain_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    samples: SampleArrays,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    grain_rows: wp.array2d(dtype=wp.float32),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    g = _grain(grain_rows, i, frame, lobes.alpha2)
    total = wp.vec3(0.0, 0.0, 0.0)
    if g.aspect > 0.0 and wp.dot(frame.lifted, frame.view) > 0.0:
        for k in range(samples.count[i]):
            light = samples.direction[i, k]
            if lit_side(frame, light) and wp.dot(frame.lifted, light) > 0.0:
                hv = wp.min(0.5 * wp.length(light + frame.view), 1.0)
                f = _stretched(g, frame.lifted, frame.view, light).core * specular_reflectance(lobes, hv)
                total += wp.cw_mul(f, incident_light(samples, i, k, light_color, environment))
    out[i] = total


@wp.func
def _by_normal(
    rows: wp.array2d(dtype=wp.float32),
    i: int,
    frame: Frame,
    geometric: wp.vec3,
    by_n: wp.vec3,
    by_x: wp.vec3,
    by_y: wp.vec3,
):
    """What slopes by the lifted normal and by the axes of the grain's frame, which are tied to it, mean for the
    normal."""
    n = frame.lifted
    t = _turned(rows, i, frame.normal)
    along = wp.dot(t, n)
    m = t - n * along
    length = wp.max(wp.length(m), 1.0e-12)
    x = m / length
    g_x = by_x + wp.cross(by_y, n)
    g_m = (g_x - x * wp.dot(x, g_x)) / length
    g_n = by_n + wp.cross(x, by_y) - t * wp.dot(g_m, n) - g_m * along
    # and the tangent is turned about the normal
    g_t = g_m - n * wp.dot(g_m, n)
    t0 = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    turn = g_t * wp.dot(frame.normal, t0) + t0 * wp.dot(frame.normal, g_t)
    g_n = by_lifted(g_n, n, frame.normal, geometric, frame.view)
    return g_n + wp.cross(t0, g_t) * rows[i, 5] + turn * (1.0 - rows[i, 4])


@wp.kernel(enable_backward=False)
def _shade_grain_backward_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    samples: SampleArrays,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    grain_rows: wp.array2d(dtype=wp.float32),
    grad_out: wp.array(dtype=wp.vec3),
    grad_rows: wp.array2d(dtype=wp.float32),
    grad_normal: wp.array(dtype=wp.vec3),
    light_needed: int,
    grad_light: wp.array2d(dtype=wp.vec3),
    environment_needed: int,
    grad_environment: wp.array3d(dtype=wp.vec3),
):
    i = start + wp.tid()
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    g = _grain(grain_rows, i, frame, lobes.alpha2)
    grad = grad_out[i]
    g_constant = wp.vec3(0.0, 0.0, 0.0)
    g_schlick = wp.vec3(0.0, 0.0, 0.0)
    g_edge = wp.vec3(0.0, 0.0, 0.0)
    g_dielectric = wp.vec3(0.0, 0.0, 0.0)
    g_ax = float(0.0)
    g_ay = float(0.0)
    g_x = wp.vec3(0.0, 0.0, 0.0)
    g_y = wp.vec3(0.0, 0.0, 0.0)
    g_lifted = wp.vec3(0.0, 0.0, 0.0)
    g_normal = wp.vec3(0.0, 0.0, 0.0)
    g_alpha2 = float(0.0)
    if g.aspect > 0.0 and wp.dot(frame.lifted, frame.view) > 0.0:
        for k in range(samples.count[i]):
            light = samples.direction[i, k]
            if lit_side(frame, light) and wp.dot(frame.lifted, light) > 0.0:
                weighted = wp.cw_mul(grad, incident_light(samples, i, k, light_color, environment))
                s = _stretched(g, frame.lifted, frame.view, light)
                hv = wp.min(0.5 * wp.length(light + frame.view), 1.0)
                m = 1.0 - hv
                m5 = m * m * m * m * m
                lobe = specular_reflectance(lobes, hv)
                g_constant += weighted * s.core
                g_schlick += weighted * (s.core * m5)
                g_edge += weighted * (s.core * hv * m5 * m)
                g_dielectric += weighted * (s.core * relative_fresnel(hv, lobes))
                g_core = wp.dot(weighted, lobe) * s.core
                g_ax += g_core * s.by_ax
                g_ay += g_core * s.by_ay
                g_x += g_core * s.by_x
                g_y += g_core * s.by_y
                g_lifted += g_core * s.by_normal
                scatter_gradient(
                    samples, i, k, wp.cw_mul(grad, lobe * s.core), slot,
                    light_needed, grad_light, environment_needed, grad_environment, environment,
                )  # fmt: skip
        g_normal = _by_normal(grain_rows, i, frame, pixels.geometric[i], g_lifted, g_x, g_y)
        g_alpha2 = g_ay
        if g.clamped == 0:
            g_alpha2 = 0.5 * (g_ax * g.ax + g_ay * g.ay) / lobes.alpha2
    for c in range(3):
        grad_rows[i, c] = 0.0
        grad_rows[i, 3 + c] = g_constant[c]
        grad_rows[i, 6 + c] = g_schlick[c]
        grad_rows[i, 9 + c] = g_edge[c]
        grad_rows[i, 12 + c] = g_dielectric[c]
    grad_rows[i, 15] = 0.0
    grad_rows[i, 16] = g_alpha2
    grad_normal[i] = g_normal


class _ShadeGrain(torch.autograd.Function):
    @staticmethod
    def forward(ctx, lobes, normal, light_color, environment, frames, samples, grain):
        out = torch.empty((len(lobes), 3), dtype=torch.float32, device=lobes.device)
        inputs = shade_inputs(lobes, normal, light_color, environment, frames, samples, grain)
        launch(_shade_grain_kernel, len(lobes), [*inputs, wp.from_torch(out, dtype=wp.vec3)], str(lobes.device))
        ctx.save_for_backward(lobes, normal, light_color, environment)
        ctx.extra = frames, samples, grain
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return (*shade_gradients(_shade_grain_backward_kernel, ctx, grad_out), None, None, None)


def shade_grain(
    lobes: torch.Tensor,
    normal: torch.Tensor,
    light_color: torch.Tensor,
    environment: torch.Tensor,
    frames: PixelFrames,
    samples: Samples,
    grain: torch.Tensor,
) -> torch.Tensor:
    """Radiance [P, 3] that the specular lobes of pixels with a grain [P, GRAIN_WIDTH] reflect; otherwise as
    shade.shade, in arguments and gradients."""
    return _ShadeGrain.apply(
        lobes.contiguous(), normal.contiguous(), light_color.contiguous(), environment.contiguous(),
        frames, samples, grain.contiguous(),
    )  # fmt: skip


def grained(parameters: torch.Tensor, grain: torch.Tensor) -> torch.Tensor:
    """Parameter rows (lobes.py) with the roughness (alpha_x alpha_y)^(1/4): alpha_x is at most 1."""
    aspect = grain[:, 3]
    alpha = parameters[:, 4] ** 2
    clamped = (aspect > 0.0) & (alpha > aspect)
    safe = torch.where(clamped, alpha * aspect, torch.ones_like(alpha))
    roughness = torch.where(clamped, safe**0.25, parameters[:, 4])
    return torch.cat([parameters[:, :4], roughness[:, None], parameters[:, 5:]], dim=1)


def without_grain(lobes: torch.Tensor, grain: torch.Tensor) -> torch.Tensor:
    """Lobe rows without the specular lobes of pixels that have a grain."""
    kept = (grain[:, 3:4] <= 0.0).float()
    return torch.cat([lobes[:, :3], lobes[:, SPECULAR] * kept, lobes[:, 15:]], dim=1)


def sampled_with_grain(lobes: torch.Tensor, grain: torch.Tensor) -> torch.Tensor:
    """Lobe rows by which directions are sampled: round lobes as wide as the stretched ones are long."""
    aspect = grain[:, 3]
    wide = (lobes[:, ALPHA2] / aspect.clamp(min=1e-3) ** 2).clamp(max=1.0)
    alpha2 = torch.where(aspect > 0.0, wide, lobes[:, ALPHA2])
    return torch.cat([lobes[:, :ALPHA2], alpha2[:, None]], dim=1)
