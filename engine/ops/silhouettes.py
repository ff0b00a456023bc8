# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients of visibility: what moving outlines do to a picture, however small the triangles are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp

from .antialiasing import TopologyHash, checked_topology, silhouette_edges
from .arrays import view
from .checks import check_spans, check_tensor, check_triangles
from .launch import launch, slots
from .silhouette_kernels import edge_gradient_kernel


@dataclass
class _Call:
    tri: torch.Tensor
    topology: TopologyHash
    spans: torch.Tensor
    boost: float


class _SilhouetteGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, color: torch.Tensor, rast: torch.Tensor, pos: torch.Tensor, call: _Call) -> torch.Tensor:
        ctx.save_for_backward(color, rast, pos)
        ctx.call = call
        return color.view_as(color)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if not ctx.needs_input_grad[2]:
            return grad_out, None, None, None
        color, rast, pos = ctx.saved_tensors
        call: _Call = ctx.call
        device = str(color.device)
        images, height, width, channels = color.shape
        sizes, mask, sign = silhouette_edges(pos, call.tri, call.topology, images, height, width)
        sizes.triangles = int(call.spans[:, 1].max()) if len(call.spans) else 0
        buffer = torch.zeros(slots(device), *pos.shape, device=pos.device)
        arrays = [view(color, wp.float32), view(grad_out.contiguous(), wp.float32), view(rast, wp.vec4)]
        arrays += [view(pos, wp.vec4), view(call.tri, wp.vec3i), view(call.topology.adjacency, wp.int32)]
        arrays += [view(mask, wp.int32), view(sign, wp.int32), view(buffer, wp.vec4), sizes, channels, pos.numel() // 4]
        spans = call.spans.to(color.device)
        launch(edge_gradient_kernel, images * sizes.triangles, [*arrays, view(spans, wp.vec2i)], device)
        return grad_out, None, buffer.sum(0) * call.boost, None


def silhouette_gradient(
    color: torch.Tensor,
    rast: torch.Tensor,
    pos: torch.Tensor,
    tri: torch.Tensor,
    topology_hash: TopologyHash | None = None,
    ranges: torch.Tensor | None = None,
    pos_gradient_boost: float = 1.0,
) -> torch.Tensor:
    """The picture ``color`` unchanged, with a gradient to ``pos`` for all its depth discontinuities.

    ``color``: float32 [N, H, W, C], any shading of what :func:`rasterize` found, one sample a pixel; ``rast``:
    [N, H, W, 4] from it; ``pos``: clip-space positions [N, V, 4], or [V, 4] with ``ranges`` int32 [N, 2] as in
    :func:`rasterize`; ``tri``: int32 [T, 3]; ``topology_hash``: from :func:`antialias_construct_topology_hash`.

    When a surface moves, pixels change where its outline moves over what lies behind. The derivative of the picture
    under a box filter of one pixel is an integral over all visible silhouette edges of the mesh: colour inside minus
    colour outside, times the speed at which the edge moves along its normal (Li, Aittala, Durand, Lehtinen 2018,
    Differentiable Monte Carlo Ray Tracing through Edge Sampling, equation 6). It is summed along the edges themselves,
    in steps of half a pixel, rather than looked for between pixels as :func:`antialias` does: that needs the edge's
    triangle to be hit by a pixel, which on a dense mesh hardly ever happens. The cost is that of finding the silhouette
    edges (linear in T) and of their length in pixels. Colours are those of the pixel centres next to the edge. Outlines
    of things thinner than a pixel get no gradient. What moves within surfaces is not contained: it flows through
    :func:`interpolate` and :func:`rasterize` as always.

    Gradients flow to ``color`` (unchanged) and, times ``pos_gradient_boost``, to x, y and w of ``pos``.
    Raises TypeError or ValueError that names the argument.
    """
    color = check_tensor("color", color, (None, None, None, None))
    images, height, width, _ = color.shape
    rast = check_tensor("rast", rast, (images, height, width, 4), device=color.device)
    ranged = ranges is not None
    pos = check_tensor("pos", pos, (None, 4) if ranged else (images, None, 4), device=color.device)
    indices = check_triangles(tri, pos.shape[-2], color.device)
    topology = checked_topology(tri, topology_hash, color.device)
    spans = check_spans(ranges, indices.shape[0], images)
    if len(spans) != images:
        raise ValueError(f"ranges must have one row for each of the {images} images of color, not {len(spans)}")
    if not pos_gradient_boost >= 0:
        raise ValueError(f"pos_gradient_boost must be a number from 0 on, not {pos_gradient_boost!r}")
    return _SilhouetteGradient.apply(color, rast, pos, _Call(indices, topology, spans, float(pos_gradient_boost)))
