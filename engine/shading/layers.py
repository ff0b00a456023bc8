# SPDX-License-Identifier: GPL-3.0-or-later
"""Coat and sheen of the pixels as differentiable torch operations, in passes of their own: scenes without them pay
nothing.

Their sockets are not fitted, nor is the coat's normal. What they look like depends on the shading normal alone, through
the sheen (the coat lies on the smooth surface or has a normal map of its own), and on the light.
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from .bsdf import Tables, device_tables, lift_normal
from .coat import SOCKET_WIDTH, Layers, coat_lobe, largest, layers_of, read_sockets, sheen_lobe, sheen_shape
from .samples import SampleArrays, Samples
from .shade import (
    Frame,
    PixelFrames,
    Pixels,
    bump_alpha2,
    diffuse_shadowing,
    incident_light,
    lit_side,
    scatter_gradient,
    shade_pass,
)

# Columns of a layer row: below 0-2, coat 3, alpha² 4, ior 5, sheen 6-8, a 9, b 10, mix 11; where any coat has a normal
# map of its own, its unit normal 12-14 as in socket rows (10-12).
LAYER_WIDTH = 12
NORMAL_WIDTH = 3
AFTER_SOCKETS = wp.constant(10)
AFTER_LAYERS = wp.constant(12)
BELOW = slice(0, 3)
COAT = slice(3, 4)
SHEEN = slice(6, 9)


@wp.func
def read_layers(rows: wp.array2d(dtype=wp.float32), i: int):
    """Row i as a Layers struct."""
    layers = Layers()
    layers.below = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    layers.coat = rows[i, 3]
    layers.alpha2 = rows[i, 4]
    layers.ior = rows[i, 5]
    layers.sheen = wp.vec3(rows[i, 6], rows[i, 7], rows[i, 8])
    layers.a = rows[i, 9]
    layers.b = rows[i, 10]
    layers.mix = rows[i, 11]
    return layers


@wp.func
def _coat_side(rows: wp.array2d(dtype=wp.float32), first: int, pixels: Pixels, i: int):
    """Normal of the coat before it is lifted: column `first` on of the rows, the smooth normal where they end there."""
    normal = pixels.smooth[i]
    if rows.shape[1] > first:
        normal = wp.vec3(rows[i, first], rows[i, first + 1], rows[i, first + 2])
    return normal


@wp.func
def coat_normal(rows: wp.array2d(dtype=wp.float32), pixels: Pixels, i: int):
    """Normal of the coat's lobe from layer rows."""
    return lift_normal(_coat_side(rows, AFTER_LAYERS, pixels, i), pixels.geometric[i], pixels.view[i])


@wp.func
def _coat_is_lit(pixels: Pixels, i: int, normal: wp.vec3, light: wp.vec3):
    """shade.lit_side for directions that the coat's normal sees."""
    return wp.dot(pixels.smooth[i], light) * wp.dot(pixels.smooth[i], normal) >= 0.0


@wp.func
def _sheen_frame(pixels: Pixels, i: int, coat: wp.vec3, mix: float):
    frame = Frame()
    frame.smooth = pixels.smooth[i]
    frame.view = pixels.view[i]
    frame.normal = wp.normalize(wp.lerp(pixels.normal[i], coat, mix))
    frame.bump = bump_alpha2(frame.normal, frame.smooth, pixels.bump_correction[i])
    return frame


@wp.func
def _by_mapped_normal(pixels: Pixels, i: int, coat: wp.vec3, mix: float, g: wp.vec3):
    """Derivative by the shading normal where g is that by the sheen's."""
    m = wp.lerp(pixels.normal[i], coat, mix)
    length = wp.max(wp.length(m), 1.0e-6)
    n = m / length
    return (g - n * wp.dot(n, g)) * ((1.0 - mix) / length)


@wp.func
def _cosine(a: wp.vec3, b: wp.vec3):
    return wp.clamp(wp.dot(a, b), 1.0e-4, 1.0)


@wp.kernel(enable_backward=False)
def _layers_kernel(
    start: int,
    slot: int,
    sockets: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    tables: Tables,
    out: wp.array2d(dtype=wp.float32),
):
    i = start + wp.tid()
    s = read_sockets(sockets, i, 0)
    side = _coat_side(sockets, AFTER_SOCKETS, pixels, i)
    frame = _sheen_frame(pixels, i, side, wp.clamp(s.coat, 0.0, 1.0))
    lifted = lift_normal(side, pixels.geometric[i], frame.view)
    layers = layers_of(s, _cosine(lifted, frame.view), _cosine(frame.normal, frame.view), tables)
    for c in range(3):
        out[i, c] = layers.below[c]
        out[i, 6 + c] = layers.sheen[c]
    out[i, 3] = layers.coat
    out[i, 4] = layers.alpha2
    out[i, 5] = layers.ior
    out[i, 9] = layers.a
    out[i, 10] = layers.b
    out[i, 11] = layers.mix
    if out.shape[1] > AFTER_LAYERS:
        for c in range(3):
            out[i, AFTER_LAYERS + c] = side[c]


@wp.kernel(enable_backward=False)
def _layers_backward_kernel(
    start: int,
    slot: int,
    sockets: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    tables: Tables,
    rows: wp.array2d(dtype=wp.float32),
    grad_rows: wp.array2d(dtype=wp.float32),
    grad_normal: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    s = read_sockets(sockets, i, 0)
    layers = read_layers(rows, i)
    g = wp.vec3(0.0, 0.0, 0.0)
    if largest(s.sheen) > 0.0 and layers.mix < 1.0:
        side = _coat_side(rows, AFTER_LAYERS, pixels, i)
        frame = _sheen_frame(pixels, i, side, layers.mix)
        cosine = wp.dot(frame.normal, frame.view)
        if cosine > 1.0e-4:
            shape = sheen_shape(tables.sheen, s.sheen_roughness, wp.min(cosine, 1.0))
            above = 1.0 - largest(layers.sheen)
            g_r = float(0.0)
            for c in range(3):
                g_r += grad_rows[i, 6 + c] * s.sheen[c]
            if above > 0.0:
                g_above = grad_rows[i, 3] * layers.coat / above
                for c in range(3):
                    g_above += grad_rows[i, c] * layers.below[c] / above
                g_r -= g_above * largest(s.sheen)
            g_nv = grad_rows[i, 9] * shape.by_nv[0] + grad_rows[i, 10] * shape.by_nv[1] + g_r * shape.by_nv[2]
            g = _by_mapped_normal(pixels, i, side, layers.mix, g_nv * frame.view)
    grad_normal[i] = g


class _LayerRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, sockets, normal, frames):
        device = str(normal.device)
        width = LAYER_WIDTH + sockets.shape[1] - SOCKET_WIDTH
        out = torch.empty((len(sockets), width), dtype=torch.float32, device=normal.device)
        inputs = [wp.from_torch(sockets), frames.arrays(normal), device_tables(device), wp.from_torch(out)]
        launch(_layers_kernel, len(sockets), inputs, device)
        ctx.save_for_backward(sockets, normal, out)
        ctx.frames = frames
        return out

    @staticmethod
    def backward(ctx, grad_out):
        sockets, normal, rows = ctx.saved_tensors
        device = str(normal.device)
        grad_normal = torch.empty_like(normal)
        inputs = [
            wp.from_torch(sockets),
            ctx.frames.arrays(normal),
            device_tables(device),
            wp.from_torch(rows, requires_grad=False),
            wp.from_torch(grad_out.contiguous()),
            wp.from_torch(grad_normal, dtype=wp.vec3),
        ]
        launch(_layers_backward_kernel, len(sockets), inputs, device)
        return None, grad_normal, None


def layer_rows(sockets: torch.Tensor, normal: torch.Tensor, frames: PixelFrames) -> torch.Tensor:
    """Layer rows [P, LAYER_WIDTH] of socket rows [P, SOCKET_WIDTH] (coat.read_sockets); differentiable by the normals
    [P, 3]. Both are NORMAL_WIDTH wider where the coat has normals of its own."""
    return _LayerRows.apply(sockets.contiguous(), normal.contiguous(), frames)


def seen_below(lobes: torch.Tensor, layers: torch.Tensor) -> torch.Tensor:
    """Lobe rows [P, LOBE_WIDTH] of the base as seen through its layers."""
    return torch.cat([lobes[:, :15] * layers[:, BELOW].repeat(1, 5), lobes[:, 15:]], dim=1)


def sampled_as(lobes: torch.Tensor, layers: torch.Tensor) -> torch.Tensor:
    """Lobe rows by which directions are sampled: sheen is sampled as part of the diffuse lobe."""
    lobes = seen_below(lobes, layers)
    lobes[:, :3] += layers[:, SHEEN]
    return lobes


@wp.kernel(enable_backward=False)
def _shade_layers_kernel(
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
    layers = read_layers(rows, i)
    total = wp.vec3(0.0, 0.0, 0.0)
    one = wp.vec3(1.0, 1.0, 1.0)
    if layers.coat > 0.0:
        normal = coat_normal(rows, pixels, i)
        for k in range(samples.count[i]):
            light = samples.direction[i, k]
            f = layers.coat * coat_lobe(layers, normal, pixels.view[i], light)
            if f > 0.0 and _coat_is_lit(pixels, i, normal, light):
                total += incident_light(samples, i, k, light_color, environment) * f
    if wp.dot(layers.sheen, one) > 0.0:
        frame = _sheen_frame(pixels, i, _coat_side(rows, AFTER_LAYERS, pixels, i), layers.mix)
        for k in range(samples.count[i]):
            light = samples.direction[i, k]
            if lit_side(frame, light):
                f = sheen_lobe(layers.a, layers.b, frame.normal, frame.view, light).value
                f *= diffuse_shadowing(frame, light)
                total += wp.cw_mul(incident_light(samples, i, k, light_color, environment), layers.sheen) * f
    out[i] = total


@wp.kernel(enable_backward=False)
def _shade_layers_backward_kernel(
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
    layers = read_layers(rows, i)
    grad = grad_out[i]
    one = wp.vec3(1.0, 1.0, 1.0)
    g_coat = float(0.0)
    g_sheen = wp.vec3(0.0, 0.0, 0.0)
    g_a = float(0.0)
    g_b = float(0.0)
    g_normal = wp.vec3(0.0, 0.0, 0.0)
    with_sheen = wp.dot(layers.sheen, one) > 0.0
    if layers.coat > 0.0 or with_sheen:
        normal = coat_normal(rows, pixels, i)
        side = _coat_side(rows, AFTER_LAYERS, pixels, i)
        frame = _sheen_frame(pixels, i, side, layers.mix)
        for k in range(samples.count[i]):
            light = samples.direction[i, k]
            weighted = wp.cw_mul(grad, incident_light(samples, i, k, light_color, environment))
            response = wp.vec3(0.0, 0.0, 0.0)
            if layers.coat > 0.0 and _coat_is_lit(pixels, i, normal, light):
                f = coat_lobe(layers, normal, frame.view, light)
                g_coat += wp.dot(weighted, one) * f
                response += one * (layers.coat * f)
            if with_sheen and lit_side(frame, light):
                lobe = sheen_lobe(layers.a, layers.b, frame.normal, frame.view, light)
                shadowing = diffuse_shadowing(frame, light)
                response += layers.sheen * (lobe.value * shadowing)
                g_sheen += weighted * (lobe.value * shadowing)
                g = wp.dot(weighted, layers.sheen) * shadowing
                g_a += g * lobe.by_a
                g_b += g * lobe.by_b
                g_normal += g * lobe.by_normal
            scatter_gradient(
                samples, i, k, wp.cw_mul(grad, response), slot,
                light_needed, grad_light, environment_needed, grad_environment, environment,
            )  # fmt: skip
        g_normal = _by_mapped_normal(pixels, i, side, layers.mix, g_normal)
    for c in range(3):
        grad_rows[i, c] = 0.0
        grad_rows[i, 6 + c] = g_sheen[c]
    grad_rows[i, 3] = g_coat
    grad_rows[i, 4] = 0.0  # sockets are not fitted
    grad_rows[i, 5] = 0.0
    grad_rows[i, 9] = g_a
    grad_rows[i, 10] = g_b
    for c in range(11, rows.shape[1]):
        grad_rows[i, c] = 0.0
    grad_normal[i] = g_normal


def shade_layers(
    layers: torch.Tensor,
    normal: torch.Tensor,
    light_color: torch.Tensor,
    environment: torch.Tensor,
    frames: PixelFrames,
    samples: Samples,
) -> torch.Tensor:
    """Radiance [P, 3] that the layers' own lobes reflect; arguments and gradients as in shade.shade, `layers`
    (layer_rows) in place of the lobes."""
    kernels = _shade_layers_kernel, _shade_layers_backward_kernel
    return shade_pass(kernels, layers, normal, light_color, environment, frames, samples)
