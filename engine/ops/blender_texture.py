# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture lookup as Blender's Image Texture node does it: bilinear or closest, four extension modes, no mip levels.

The extension is applied to texel *indices* (not to coordinates), as in Cycles: REPEAT is the index modulo the size,
EXTEND clamps it, MIRROR reflects it with the border texel doubled, CLIP counts texels outside as 0 so that the
border fades over half a texel. See docs/blender-image-formation.md §3.7.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
import warp as wp

from .arrays import group, view
from .blender_texture_kernels import SAMPLE, TEXTURE_GRADIENT, uv_gradient_kernel
from .checks import INT32_MAX, check_choice, check_tensor
from .launch import cpu_threads, launch, owners

EXTENSIONS = ("REPEAT", "EXTEND", "CLIP", "MIRROR")
INTERPOLATIONS = ("Linear", "Closest")


class _SampleTexture(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tex: torch.Tensor, uv: torch.Tensor, extension: int, closest: int) -> torch.Tensor:
        height, width, channels = tex.shape
        dtype, groups = group(channels)
        out = torch.empty(uv.shape[0], channels, device=tex.device)
        inputs = [view(tex, dtype), view(uv, wp.vec2), view(out, dtype), width, height, groups, extension, closest]
        launch(SAMPLE[dtype], uv.shape[0], inputs, str(tex.device))
        ctx.save_for_backward(tex, uv)
        ctx.modes = extension, closest
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tex, uv = ctx.saved_tensors
        extension, closest = ctx.modes
        device, points = str(tex.device), uv.shape[0]
        height, width, channels = tex.shape
        grad_out = grad_out.contiguous()
        grad_tex = grad_uv = None
        if ctx.needs_input_grad[0]:
            grad_tex = torch.zeros_like(tex)
            parts = owners(points, device)
            dtype, groups = group(channels)
            arrays = [view(uv, wp.vec2), view(grad_out, dtype), view(grad_tex, dtype)]
            inputs = [*arrays, points, parts, width, height, groups, extension, closest]
            launch(TEXTURE_GRADIENT[dtype], points * parts, inputs, device)
        if ctx.needs_input_grad[1]:
            grad_uv = torch.zeros_like(uv)
            if not closest:
                arrays = [view(tex, wp.float32), view(uv, wp.vec2), view(grad_out, wp.float32)]
                inputs = [*arrays, view(grad_uv, wp.vec2), width, height, channels, extension]
                launch(uv_gradient_kernel, points, inputs, device)
        return grad_tex, grad_uv, None, None


def sample_texture(
    tex: torch.Tensor,
    uv: torch.Tensor,
    extension: Literal["REPEAT", "EXTEND", "CLIP", "MIRROR"] = "REPEAT",
    interpolation: Literal["Linear", "Closest"] = "Linear",
) -> torch.Tensor:
    """Look up ``tex`` [H, W, C] at ``uv`` [P, 2] -> [P, C], as the Image Texture node of Cycles does.

    Row 0 is v = 0; texel (row i, column j) has its centre at u = (j + .5) / W, v = (i + .5) / H. Values are
    interpolated as they are: decode colour spaces afterwards. float32, both tensors on one device. Differentiable with
    respect to ``tex`` and ``uv`` (first order; no uv gradient with 'Closest'). Coordinates that are not finite, or
    beyond 1e9 texels, give 0. Raises TypeError or ValueError that names the argument.
    """
    tex = check_tensor("tex", tex, (None, None, None))
    if tex.numel() == 0:
        raise ValueError(f"tex must not be empty, but has the shape {list(tex.shape)}")
    uv = check_tensor("uv", uv, (None, 2), device=tex.device)
    check_choice("extension", extension, EXTENSIONS)
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    if uv.shape[0] * max(tex.shape[2], cpu_threads()) > INT32_MAX:
        raise ValueError("uv has more lookups than the ops can index")
    closest = int(interpolation == "Closest")
    return _SampleTexture.apply(tex, uv, EXTENSIONS.index(extension), closest)
