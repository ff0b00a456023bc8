# SPDX-License-Identifier: GPL-3.0-or-later
"""Reflected radiance of every pixel from its stored light samples, with a hand-written backward.

The backward recomputes the samples instead of storing them, and differentiates with respect to the lobe weights, the
shading normal, the lights' colours and the environment's texels. Directions, visibility and sampling densities are
held fixed. tests/engine/shading compare it with Warp's automatic adjoint and with finite differences.
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch, slots
from .bsdf import PI, Lobes, ggx_core, lift_normal, relative_fresnel, specular_reflectance
from .environment import bilinear_of, lookup_uv
from .lobes import read_lobes
from .lobes_backward import by_lifted
from .samples import SOURCE_CONSTANT, SOURCE_ENVIRONMENT, SampleArrays, Samples


@wp.struct
class Frame:
    """Directions at one pixel, all unit and in world space."""

    normal: wp.vec3  # shading normal: diffuse lobe
    lifted: wp.vec3  # shading normal of the specular lobes
    smooth: wp.vec3  # interpolated normal before the normal map
    view: wp.vec3
    bump: float  # alpha² of the shadowing that a normal map casts on the diffuse lobe, 0 for none


@wp.struct
class Pixels:
    """Per-pixel inputs of the shading kernels, [P]."""

    normal: wp.array(dtype=wp.vec3)
    smooth: wp.array(dtype=wp.vec3)
    geometric: wp.array(dtype=wp.vec3)
    view: wp.array(dtype=wp.vec3)
    bump_correction: wp.array(dtype=wp.float32)


@wp.func
def bump_alpha2(normal: wp.vec3, smooth: wp.vec3, correction: float):
    """alpha² = tan²(angle) / 8, capped at 1, of the shadowing around the smooth normal (§3.6); 0 for none."""
    cosine = wp.clamp(wp.dot(normal, smooth), -1.0, 1.0)
    alpha2 = float(0.0)
    if correction > 0.0 and cosine < 0.99999:
        alpha2 = wp.min((1.0 - cosine * cosine) / (8.0 * wp.max(cosine * cosine, 1.0e-6)), 1.0)
    return alpha2


@wp.func
def frame_of(pixels: Pixels, i: int):
    """The frame of pixel i."""
    frame = Frame()
    frame.normal = pixels.normal[i]
    frame.smooth = pixels.smooth[i]
    frame.view = pixels.view[i]
    frame.lifted = lift_normal(pixels.normal[i], pixels.geometric[i], pixels.view[i])
    frame.bump = bump_alpha2(frame.normal, frame.smooth, pixels.bump_correction[i])
    return frame


@wp.func
def diffuse_shadowing(frame: Frame, light: wp.vec3):
    """Factor of the diffuse lobe: GGX masking of the light around the smooth normal."""
    factor = float(1.0)
    if frame.bump > 0.0:
        c = wp.max(wp.dot(frame.smooth, light), 1.0e-4)
        factor = 2.0 * c / (c + wp.sqrt(c * c + frame.bump * (1.0 - c * c)))
    return factor


@wp.func
def shadowing_slope(frame: Frame, light: wp.vec3):
    """Derivative of the logarithm of diffuse_shadowing by alpha²."""
    slope = float(0.0)
    if frame.bump > 0.0:
        c = wp.max(wp.dot(frame.smooth, light), 1.0e-4)
        root = wp.sqrt(c * c + frame.bump * (1.0 - c * c))
        slope = -(1.0 - c * c) / (2.0 * root * (c + root))
    return slope


@wp.func
def by_bump_normal(normal: wp.vec3, smooth: wp.vec3, bump: float):
    """Derivative of bump_alpha2 by the shading normal where it is neither none nor capped."""
    result = wp.vec3(0.0, 0.0, 0.0)
    if bump > 0.0 and bump < 1.0:
        cosine = wp.dot(normal, smooth)
        result = smooth * (-0.25 / (cosine * cosine * cosine))
    return result


@wp.func
def lit_side(frame: Frame, light: wp.vec3):
    """Cycles' guard against light through the surface where a normal map bends the normal."""
    return wp.dot(frame.smooth, light) * wp.dot(frame.smooth, frame.normal) * wp.dot(frame.normal, light) >= 0.0


@wp.func
def reflected(lobes: Lobes, frame: Frame, light: wp.vec3):
    """BSDF times cosine for light from the unit direction `light`."""
    result = wp.vec3(0.0, 0.0, 0.0)
    if lit_side(frame, light):
        nl = wp.dot(frame.normal, light)
        if nl > 0.0:
            result = lobes.diffuse * (nl * (1.0 / PI) * diffuse_shadowing(frame, light))
        snl = wp.dot(frame.lifted, light)
        snv = wp.dot(frame.lifted, frame.view)
        if snl > 0.0 and snv > 0.0:
            half = light + frame.view
            half2 = wp.length_sq(half)
            hv = wp.min(0.5 * wp.sqrt(half2), 1.0)  # both are unit vectors
            cross = wp.cross(frame.lifted, half)
            core = ggx_core(lobes.alpha2, snl, snv, half2, wp.dot(frame.lifted, half), wp.length_sq(cross))
            result = result + core * specular_reflectance(lobes, hv)
    return result


@wp.func
def incident_light(
    samples: SampleArrays,
    i: int,
    k: int,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
):
    radiance = samples.radiance[i, k]
    source = samples.source[i, k]
    if source == SOURCE_ENVIRONMENT:
        radiance = radiance[0] * lookup_uv(environment, radiance[1], radiance[2])
    elif source != SOURCE_CONSTANT:
        radiance = wp.cw_mul(radiance, light_color[source])
    return radiance


@wp.func
def scatter_gradient(
    samples: SampleArrays,
    i: int,
    k: int,
    g: wp.vec3,
    slot: int,
    light_needed: int,
    grad_light: wp.array2d(dtype=wp.vec3),
    environment_needed: int,
    grad_environment: wp.array3d(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
):
    """Add g, the derivative by the light that sample k brings, to the gradient of its light or of its texels."""
    source = samples.source[i, k]
    if source >= 0:
        if light_needed == 1:
            wp.atomic_add(grad_light, slot, source, wp.cw_mul(g, samples.radiance[i, k]))
    elif source == SOURCE_ENVIRONMENT and environment_needed == 1:
        at = samples.radiance[i, k]
        e = g * at[0]
        b = bilinear_of(at[1], at[2], environment.shape[0], environment.shape[1])
        wp.atomic_add(grad_environment, slot, b.y0, b.x0, e * ((1.0 - b.fx) * (1.0 - b.fy)))
        wp.atomic_add(grad_environment, slot, b.y0, b.x1, e * (b.fx * (1.0 - b.fy)))
        wp.atomic_add(grad_environment, slot, b.y1, b.x0, e * ((1.0 - b.fx) * b.fy))
        wp.atomic_add(grad_environment, slot, b.y1, b.x1, e * (b.fx * b.fy))


@wp.kernel(enable_backward=False)
def _shade_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    samples: SampleArrays,
    light_color: wp.array(dtype=wp.vec3),
    environment: wp.array2d(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(samples.count[i]):
        incident = incident_light(samples, i, k, light_color, environment)
        total += wp.cw_mul(reflected(lobes, frame, samples.direction[i, k]), incident)
    out[i] = total


@wp.kernel(enable_backward=False)
def _shade_backward_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
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
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    grad = grad_out[i]
    g_diffuse = wp.vec3(0.0, 0.0, 0.0)
    g_constant = wp.vec3(0.0, 0.0, 0.0)
    g_schlick = wp.vec3(0.0, 0.0, 0.0)
    g_edge = wp.vec3(0.0, 0.0, 0.0)
    g_dielectric = wp.vec3(0.0, 0.0, 0.0)
    g_alpha2 = float(0.0)
    g_normal = wp.vec3(0.0, 0.0, 0.0)
    g_lifted = wp.vec3(0.0, 0.0, 0.0)
    g_bump = float(0.0)
    a2 = lobes.alpha2
    nv = wp.dot(frame.lifted, frame.view)
    gv = wp.sqrt(nv * nv + a2 * (1.0 - nv * nv))
    by_gv = 1.0 / gv
    by_a2 = 1.0 / a2
    for k in range(samples.count[i]):
        light = samples.direction[i, k]
        if lit_side(frame, light):
            incident = incident_light(samples, i, k, light_color, environment)
            weighted = wp.cw_mul(grad, incident)
            response = wp.vec3(0.0, 0.0, 0.0)
            nl = wp.dot(frame.normal, light)
            if nl > 0.0:
                factor = diffuse_shadowing(frame, light) * (1.0 / PI)
                response = lobes.diffuse * (nl * factor)
                g_diffuse += weighted * (nl * factor)
                g_factor = factor * wp.dot(weighted, lobes.diffuse)
                g_normal += light * g_factor
                g_bump += g_factor * nl * shadowing_slope(frame, light)
            snl = wp.dot(frame.lifted, light)
            if snl > 0.0 and nv > 0.0:
                half = light + frame.view  # of any length, which cancels out of nh² / d
                half2 = wp.length_sq(half)
                hv = wp.min(0.5 * wp.sqrt(half2), 1.0)
                nh = wp.dot(frame.lifted, half)
                cross = wp.cross(frame.lifted, half)
                d = wp.length_sq(cross) + a2 * nh * nh
                gl = wp.sqrt(snl * snl + a2 * (1.0 - snl * snl))
                by_d = 1.0 / d  # a division takes as long as ten products
                by_gl = 1.0 / gl
                by_s = 1.0 / (snl * gv + nv * gl)
                core = a2 * snl * (half2 * by_d) * (half2 * by_d) * by_s * (0.5 / PI)
                m = 1.0 - hv
                m5 = m * m * m * m * m
                edge = hv * m5 * m
                fresnel = relative_fresnel(hv, lobes)
                lobe = lobes.constant + lobes.schlick * m5 + lobes.edge * edge + lobes.dielectric * fresnel
                response += core * lobe
                g_constant += weighted * core
                g_schlick += weighted * (core * m5)
                g_edge += weighted * (core * edge)
                g_dielectric += weighted * (core * fresnel)
                # d core: D depends on alpha² and nh, the masking term on alpha², nl and nv.
                g_core = wp.dot(weighted, lobe) * core
                g_alpha2 += g_core * (
                    by_a2
                    - 2.0 * nh * nh * by_d
                    - (snl * (1.0 - nv * nv) * by_gv + nv * (1.0 - snl * snl) * by_gl) * (0.5 * by_s)
                )
                by_nh = 4.0 * nh * (1.0 - a2) * by_d
                by_nl = 1.0 / snl - (gv + nv * snl * (1.0 - a2) * by_gl) * by_s
                by_nv = -(gl + snl * nv * (1.0 - a2) * by_gv) * by_s
                g_lifted += g_core * (by_nh * half + by_nl * light + by_nv * frame.view)
            scatter_gradient(
                samples, i, k, wp.cw_mul(grad, response), slot,
                light_needed, grad_light, environment_needed, grad_environment, environment,
            )  # fmt: skip
    for c in range(3):
        grad_rows[i, c] = g_diffuse[c]
        grad_rows[i, 3 + c] = g_constant[c]
        grad_rows[i, 6 + c] = g_schlick[c]
        grad_rows[i, 9 + c] = g_edge[c]
        grad_rows[i, 12 + c] = g_dielectric[c]
    grad_rows[i, 15] = 0.0  # the index of refraction is not fitted
    grad_rows[i, 16] = g_alpha2
    # Only turns of the normal are real; the part along it comes from treating it as a free vector.
    g_normal += by_bump_normal(frame.normal, frame.smooth, frame.bump) * g_bump
    grad_normal[i] = g_normal + by_lifted(g_lifted, frame.lifted, frame.normal, pixels.geometric[i], frame.view)


class PixelFrames:
    """The torch tensors behind a Pixels struct: unit vectors [P, 3] and the bump switch [P]."""

    def __init__(
        self, smooth: torch.Tensor, geometric: torch.Tensor, view: torch.Tensor, bump_correction: torch.Tensor
    ) -> None:
        self.smooth, self.geometric, self.view = smooth, geometric, view
        self.bump_correction = bump_correction

    def arrays(self, normal: torch.Tensor) -> Pixels:
        """Views for kernels with the given shading normals."""
        pixels = Pixels()
        pixels.normal = wp.from_torch(normal, dtype=wp.vec3, requires_grad=False)
        pixels.smooth = wp.from_torch(self.smooth, dtype=wp.vec3)
        pixels.geometric = wp.from_torch(self.geometric, dtype=wp.vec3)
        pixels.view = wp.from_torch(self.view, dtype=wp.vec3)
        pixels.bump_correction = wp.from_torch(self.bump_correction)
        return pixels


class _ShadePass(torch.autograd.Function):
    """Rows of lobes and their stored light samples -> radiance, by a pair of kernels, forward and backward."""

    @staticmethod
    def forward(ctx, rows, normal, light_color, environment, frames, samples, kernels):
        out = torch.empty((len(rows), 3), dtype=torch.float32, device=rows.device)
        inputs = shade_inputs(rows, normal, light_color, environment, frames, samples)
        launch(kernels[0], len(rows), [*inputs, wp.from_torch(out, dtype=wp.vec3)], str(rows.device))
        ctx.save_for_backward(rows, normal, light_color, environment)
        ctx.extra, ctx.backward_kernel = (frames, samples), kernels[1]
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return (*shade_gradients(ctx.backward_kernel, ctx, grad_out), None, None, None)


def shade_pass(kernels, rows, normal, light_color, environment, frames, samples):
    """Radiance [P, 3] by a pair of kernels over `rows`; otherwise as `shade`, in arguments and gradients."""
    tensors = (tensor.contiguous() for tensor in (rows, normal, light_color, environment))
    return _ShadePass.apply(*tensors, frames, samples, kernels)


def shade_gradients(kernel, ctx, grad_out):
    """Run a backward kernel: gradients by rows, normals, lights' colours and the environment (None if not needed)."""
    rows, normal, light_color, environment = ctx.saved_tensors
    device = str(rows.device)
    _, _, light_needed, environment_needed = ctx.needs_input_grad[:4]
    grad_rows = torch.empty_like(rows)
    grad_normal = torch.empty_like(normal)
    buffers = slots(device)
    grad_light = torch.zeros((buffers, *light_color.shape), device=rows.device)
    shape = environment.shape if environment_needed else (1, 1, 3)
    grad_environment = torch.zeros((buffers, *shape), device=rows.device)
    inputs = shade_inputs(rows, normal, light_color, environment, *ctx.extra)
    inputs += [
        wp.from_torch(grad_out.contiguous(), dtype=wp.vec3),
        wp.from_torch(grad_rows),
        wp.from_torch(grad_normal, dtype=wp.vec3),
        int(light_needed),
        wp.from_torch(grad_light, dtype=wp.vec3),
        int(environment_needed),
        wp.from_torch(grad_environment, dtype=wp.vec3),
    ]
    launch(kernel, len(rows), inputs, device)
    return (
        grad_rows,
        grad_normal,
        grad_light.sum(0) if light_needed else None,
        grad_environment.sum(0) if environment_needed else None,
    )


def shade_inputs(rows, normal, light_color, environment, frames, samples, *more_rows):
    """What all kernels over stored samples take first."""
    return [
        wp.from_torch(rows, requires_grad=False),
        frames.arrays(normal),
        samples.arrays(),
        wp.from_torch(light_color, dtype=wp.vec3, requires_grad=False),
        wp.from_torch(environment, dtype=wp.vec3, requires_grad=False),
        *(wp.from_torch(more) for more in more_rows),
    ]


def shade(
    lobes: torch.Tensor,
    normal: torch.Tensor,
    light_color: torch.Tensor,
    environment: torch.Tensor,
    frames: PixelFrames,
    samples: Samples,
) -> torch.Tensor:
    """Reflected radiance [P, 3], scene-linear.

    `lobes` [P, LOBE_WIDTH] (lobes.py), `normal` [P, 3] unit shading normals, `light_color` [L, 3] effective power of
    each light (at least one row), `environment` [H, W, 3] radiance image.
    Differentiable with respect to the first four.
    """
    kernels = _shade_kernel, _shade_backward_kernel
    return shade_pass(kernels, lobes, normal, light_color, environment, frames, samples)
