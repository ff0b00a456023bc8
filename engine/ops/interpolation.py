# SPDX-License-Identifier: GPL-3.0-or-later
"""Interpolation of vertex attributes over rasterized triangles, with image-space derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import warp as wp

from .arrays import group, view
from .checks import check_ids, check_tensor, check_triangles
from .interpolation_kernels import (
    ATTRIBUTE_GRADIENT,
    INTERPOLATE,
    RAST_GRADIENT,
    derivative_attribute_gradient_kernel,
    derivative_kernel,
    derivative_rast_gradient_kernel,
)
from .launch import launch, slots


@dataclass
class _Sizes:
    """What all kernels of a call need: pixels of an image, vertices from one image to the next, triangles, channels."""

    pixels: int
    stride: int
    triangles: int
    channels: int


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attr: torch.Tensor, rast: torch.Tensor, tri: torch.Tensor, sizes: _Sizes) -> torch.Tensor:
        device = str(attr.device)
        out = torch.empty(*rast.shape[:3], sizes.channels, device=attr.device)
        bad_id = torch.zeros(slots(device), dtype=torch.int32, device=attr.device)
        dtype, groups = group(sizes.channels)
        arrays = [view(attr, dtype), view(rast, wp.vec4), view(tri, wp.vec3i), view(out, dtype), view(bad_id, wp.int32)]
        count = rast.numel() // 4
        launch(INTERPOLATE[dtype], count, [*arrays, sizes.triangles, groups, sizes.pixels, sizes.stride], device)
        check_ids("rast", bad_id)
        ctx.save_for_backward(attr, rast, tri)
        ctx.sizes = sizes
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        attr, rast, tri = ctx.saved_tensors
        sizes: _Sizes = ctx.sizes
        device, count = str(attr.device), rast.numel() // 4
        dtype, groups = group(sizes.channels)
        w_out, w_rast, w_tri = view(grad_out.contiguous(), dtype), view(rast, wp.vec4), view(tri, wp.vec3i)
        tail = (groups, sizes.pixels, sizes.stride)
        grad_attr = grad_rast = None
        if ctx.needs_input_grad[0]:
            buffer = torch.zeros(slots(device), *attr.shape, device=attr.device)
            size = attr.numel() // sizes.channels * groups
            launch(ATTRIBUTE_GRADIENT[dtype], count, [w_out, w_rast, w_tri, view(buffer, dtype), size, *tail], device)
            grad_attr = buffer.sum(0)
        if ctx.needs_input_grad[1]:
            grad_rast = torch.empty_like(rast)
            arrays = [view(attr, dtype), w_out, w_rast, w_tri, view(grad_rast, wp.vec4)]
            launch(RAST_GRADIENT[dtype], count, [*arrays, *tail], device)
        return grad_attr, grad_rast, None, None


class _Derivatives(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        attr: torch.Tensor,
        rast: torch.Tensor,
        rast_db: torch.Tensor,
        tri: torch.Tensor,
        chosen: torch.Tensor,
        sizes: _Sizes,
    ) -> torch.Tensor:
        device, count = str(attr.device), len(chosen)
        out = torch.empty(*rast.shape[:3], 2 * count, device=attr.device)
        arrays = [view(attr, wp.float32), view(rast, wp.vec4), view(rast_db, wp.vec4), view(tri, wp.vec3i)]
        arrays += [view(chosen, wp.int32), view(out, wp.vec2)]
        tail = (sizes.triangles, count, sizes.channels, sizes.pixels, sizes.stride)
        launch(derivative_kernel, rast.numel() // 4, [*arrays, *tail], device)
        ctx.save_for_backward(attr, rast, rast_db, tri, chosen)
        ctx.sizes = sizes
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        attr, rast, rast_db, tri, chosen = ctx.saved_tensors
        sizes: _Sizes = ctx.sizes
        device, items = str(attr.device), rast.numel() // 4
        w_out, w_rast, w_tri = view(grad_out.contiguous(), wp.vec2), view(rast, wp.vec4), view(tri, wp.vec3i)
        w_chosen = view(chosen, wp.int32)
        tail = (len(chosen), sizes.channels, sizes.pixels, sizes.stride)
        grad_attr = grad_rast_db = None
        if ctx.needs_input_grad[0]:
            buffer = torch.zeros(slots(device), *attr.shape, device=attr.device)
            arrays = [w_out, w_rast, view(rast_db, wp.vec4), w_tri, w_chosen, view(buffer, wp.float32)]
            launch(derivative_attribute_gradient_kernel, items, [*arrays, attr.numel(), *tail], device)
            grad_attr = buffer.sum(0)
        if ctx.needs_input_grad[2]:
            grad_rast_db = torch.empty_like(rast_db)
            arrays = [view(attr, wp.float32), w_out, w_rast, w_tri, w_chosen, view(grad_rast_db, wp.vec4)]
            launch(derivative_rast_gradient_kernel, items, [*arrays, *tail], device)
        return grad_attr, None, grad_rast_db, None, None, None


def _chosen(diff_attrs: Literal["all"] | Sequence[int], channels: int) -> list[int]:
    if isinstance(diff_attrs, str):
        if diff_attrs != "all":
            raise ValueError(f"diff_attrs must be 'all' or a list of attribute indices, not {diff_attrs!r}")
        return list(range(channels))
    chosen = [int(i) for i in diff_attrs]
    if any(not -channels <= i < channels for i in chosen):
        raise ValueError(f"diff_attrs {chosen} must be within the {channels} attributes")
    return [i % channels for i in chosen]


def interpolate(
    attr: torch.Tensor,
    rast: torch.Tensor,
    tri: torch.Tensor,
    rast_db: torch.Tensor | None = None,
    diff_attrs: Literal["all"] | Sequence[int] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertex attributes at every pixel, with nvdiffrast's conventions.

    ``attr``: float32 [N, V, A], [1, V, A] (shared by all images) or [V, A] (range mode); ``rast``, ``rast_db``:
    [N, H, W, 4] from :func:`rasterize`; ``tri``: int32 [T, 3]; ``diff_attrs``: 'all' or indices (negative: from
    the end) of the attributes whose image-space derivatives are wanted, which needs ``rast_db``.

    Returns [N, H, W, A], u a0 + v a1 + (1 - u - v) a2 and 0 where no triangle is, and [N, H, W, 2 D]: for each chosen
    attribute (dA/dX, dA/dY) in pixels. First-order gradients flow to ``attr``, to u and v of ``rast`` and to
    ``rast_db``. Cost grows with the channels in groups: multiples of 4, 3 and 2 are fast.
    Raises TypeError or ValueError that names the argument.
    """
    rast = check_tensor("rast", rast, (None, None, None, 4))
    shape = (None, None) if isinstance(attr, torch.Tensor) and attr.dim() == 2 else (None, None, None)
    attr = check_tensor("attr", attr, shape, device=rast.device)
    images, height, width, _ = rast.shape
    vertices, channels = attr.shape[-2:]
    if attr.dim() == 3 and attr.shape[0] not in (1, images):
        raise ValueError(f"attr has {attr.shape[0]} images but rast has {images}")
    if channels == 0:
        raise ValueError("attr must have at least one attribute")
    tri = check_triangles(tri, vertices, rast.device)
    stride = vertices if attr.dim() == 3 and attr.shape[0] > 1 else 0
    sizes = _Sizes(height * width, stride, tri.shape[0], channels)
    out = _Interpolate.apply(attr, rast, tri, sizes)
    chosen = [] if diff_attrs is None else _chosen(diff_attrs, channels)
    if not chosen:
        return out, out.new_empty(images, height, width, 0)
    if rast_db is None:
        raise ValueError("rast_db is needed for diff_attrs")
    rast_db = check_tensor("rast_db", rast_db, rast.shape, device=rast.device)
    indices = torch.tensor(chosen, dtype=torch.int32, device=rast.device)
    return out, _Derivatives.apply(attr, rast, rast_db, tri, indices, sizes)
