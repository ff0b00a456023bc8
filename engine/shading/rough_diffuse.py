# SPDX-License-Identifier: GPL-3.0-or-later
"""Rough diffuse surfaces (Diffuse Roughness), in a pass of their own: scenes without them pay nothing.

Cycles' model: the improved qualitative Oren-Nayar model (Fujii 2012,
https://mimosa-pudica.net/improved-oren-nayar.html) and a term for light that is scattered several times, which keeps
its energy (OpenPBR; Portsmouth, Kutz, Hill 2024). With n·l = nl, n·v = nv, s the roughness:

    f = a + b t + M (1 - E(nl)),   a = 1 / (pi + s (pi/2 - 2/3)),   b = s a,
    t = (l·v - nl nv) / max(nl, nv) where that is positive, else l·v - nl nv,
    E(c) = pi a + b G(c),   M = albedo² / pi Em / (1 - Em) / (1 - albedo (1 - Em)) (1 - E(nv)),
    Em = pi a + (2 pi - 5.6) / 3 b.
"""

from __future__ import annotations

import math

import torch
import warp as wp

from .bsdf import PI
from .samples import SampleArrays, Samples
from .shade import (
    PixelFrames,
    Pixels,
    by_bump_normal,
    diffuse_shadowing,
    frame_of,
    incident_light,
    lit_side,
    scatter_gradient,
    shade_pass,
    shadowing_slope,
)

# Columns of a row: weight of what is scattered once 0-2, and several times 3-5, a 6, b 7.
ROUGH_WIDTH = 8


@wp.struct
class Scattered:
    """n·l times the two parts of the model, and their slopes."""

    once: float
    again: float
    t: float
    g: float
    once_by_nl: float
    once_by_nv: float
    again_by_nl: float


@wp.func
def _scattered(a: float, b: float, nl: float, nv: float, lv: float):
    s = Scattered()
    t = lv - nl * nv
    t_by_nl = -nv
    t_by_nv = -nl
    if t > 0.0:
        if nl > nv:
            t = lv / nl - nv
            t_by_nl = -lv / (nl * nl)
            t_by_nv = -1.0
        else:
            t = lv / nv - nl
            t_by_nl = -1.0
            t_by_nv = -lv / (nv * nv)
    # G of the docstring and its slope; near the horizon a series, as in Cycles
    c = wp.min(nl, 0.999999)
    g = 0.5 * PI - 2.0 / 3.0 - c
    g_by_c = float(-1.0)
    if c > 1.0e-6:
        sine = wp.sqrt(1.0 - c * c)
        theta = wp.acos(c)
        left = 1.0 - sine * sine * sine
        g = sine * (theta - 2.0 / 3.0 - sine * c) + 2.0 / 3.0 * (sine / c) * left
        g_by_c = 3.0 * c * c - 2.0 - c / sine * (theta - 2.0 / 3.0)
        g_by_c += 2.0 / 3.0 * (3.0 * sine * sine - left / (sine * c * c))
    s.t = t
    s.g = g
    s.once = nl * (a + b * t)
    s.once_by_nl = a + b * t + nl * b * t_by_nl
    s.once_by_nv = nl * b * t_by_nv
    lost = 1.0 - PI * a - b * g
    s.again = nl * lost
    s.again_by_nl = lost - nl * b * g_by_c
    return s


@wp.kernel(enable_backward=False)
def _shade_rough_kernel(
    start: int,
    slot: int,
    rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    samples: SampleArrays,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    once = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    again = wp.vec3(rows[i, 3], rows[i, 4], rows[i, 5])
    frame = frame_of(pixels, i)
    nv = wp.max(wp.dot(frame.normal, frame.view), 1.0e-6)
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(samples.count[i]):
        light = samples.direction[i, k]
        nl = wp.dot(frame.normal, light)
        if nl > 0.0 and lit_side(frame, light):
            s = _scattered(rows[i, 6], rows[i, 7], nl, nv, wp.dot(light, frame.view))
            f = (once * s.once + again * s.again) * diffuse_shadowing(frame, light)
            total += wp.cw_mul(f, incident_light(samples, i, k, light_color, environment))
    out[i] = total


@wp.kernel(enable_backward=False)
def _shade_rough_backward_kernel(
    start: int,
    slot: int,
    rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    samples: SampleArrays,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    grad_out: wp.array(dtype=wp.vec3),
    grad_rows: wp.array2d(dtype=wp.float32),
    grad_normal: wp.array(dtype=wp.vec3),
    light_needed: int,
    grad_light: wp.array2d(dtype=wp.vec3),
    environment_needed: int,
    grad_environment: wp.array3d(dtype=wp.vec3),
):
    i = start + wp.tid()
    once = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    again = wp.vec3(rows[i, 3], rows[i, 4], rows[i, 5])
    frame = frame_of(pixels, i)
    cosine = wp.dot(frame.normal, frame.view)
    nv = wp.max(cosine, 1.0e-6)
    grad = grad_out[i]
    g_once = wp.vec3(0.0, 0.0, 0.0)
    g_again = wp.vec3(0.0, 0.0, 0.0)
    g_a = float(0.0)
    g_b = float(0.0)
    g_normal = wp.vec3(0.0, 0.0, 0.0)
    g_bump = float(0.0)
    for k in range(samples.count[i]):
        light = samples.direction[i, k]
        nl = wp.dot(frame.normal, light)
        if nl > 0.0 and lit_side(frame, light):
            s = _scattered(rows[i, 6], rows[i, 7], nl, nv, wp.dot(light, frame.view))
            shadowing = diffuse_shadowing(frame, light)
            weighted = wp.cw_mul(grad, incident_light(samples, i, k, light_color, environment)) * shadowing
            g_once += weighted * s.once
            g_again += weighted * s.again
            w_once = wp.dot(weighted, once)
            w_again = wp.dot(weighted, again)
            g_bump += (w_once * s.once + w_again * s.again) * shadowing_slope(frame, light)
            g_a += nl * (w_once - PI * w_again)
            g_b += nl * (w_once * s.t - w_again * s.g)
            g_normal += light * (w_once * s.once_by_nl + w_again * s.again_by_nl)
            if cosine > 1.0e-6:
                g_normal += frame.view * (w_once * s.once_by_nv)
            scatter_gradient(
                samples, i, k, wp.cw_mul(grad, once * s.once + again * s.again) * shadowing, slot,
                light_needed, grad_light, environment_needed, grad_environment, environment,
            )  # fmt: skip
    for c in range(3):
        grad_rows[i, c] = g_once[c]
        grad_rows[i, 3 + c] = g_again[c]
    grad_rows[i, 6] = g_a
    grad_rows[i, 7] = g_b
    grad_normal[i] = g_normal + by_bump_normal(frame.normal, frame.smooth, frame.bump) * g_bump


def shade_rough(
    rows: torch.Tensor,
    normal: torch.Tensor,
    light_color: torch.Tensor,
    environment: torch.Tensor,
    frames: PixelFrames,
    samples: Samples,
) -> torch.Tensor:
    """Radiance [P, 3] that rough diffuse surfaces reflect; arguments and gradients as in shade.shade, `rows` [P,
    ROUGH_WIDTH] in place of the lobes."""
    kernels = _shade_rough_kernel, _shade_rough_backward_kernel
    return shade_pass(kernels, rows, normal, light_color, environment, frames, samples)


def rough_rows(
    lobes: torch.Tensor, base: torch.Tensor, roughness: torch.Tensor, normal: torch.Tensor, frames: PixelFrames
) -> torch.Tensor:
    """Rows [P, ROUGH_WIDTH] of surfaces with diffuse weights ``lobes[:, :3]``, base colours [P, 3] and diffuse
    roughness [P, 1]; differentiable."""
    sigma = roughness.clamp(0.0, 1.0)
    a = 1.0 / (math.pi + sigma * (0.5 * math.pi - 2.0 / 3.0))
    b = sigma * a
    albedo = base.clamp(0.0, 1.0)
    mean = math.pi * a + (2.0 * math.pi - 5.6) / 3.0 * b
    nv = (normal * frames.view).sum(1, keepdim=True).clamp(1e-6, 0.999999)
    sine = (1.0 - nv * nv).sqrt()
    g = sine * (nv.acos() - 2.0 / 3.0 - sine * nv) + 2.0 / 3.0 * (sine / nv) * (1.0 - sine**3)
    lost = 1.0 - math.pi * a - b * g
    # a smooth surface scatters nothing twice, and 0 / 0 has no gradient
    rough = sigma > 1e-6
    rest = torch.where(rough, 1.0 - mean, torch.ones_like(mean))
    again = torch.where(
        rough, albedo**2 / math.pi * (mean / rest) / (1.0 - albedo * rest) * lost, torch.zeros_like(albedo)
    )
    diffuse = lobes[:, :3]
    return torch.cat([diffuse, diffuse * again, a, b], dim=1)


def without_diffuse(lobes: torch.Tensor) -> torch.Tensor:
    """Lobe rows without the diffuse lobe."""
    return torch.cat([torch.zeros_like(lobes[:, :3]), lobes[:, 3:]], dim=1)
