# SPDX-License-Identifier: GPL-3.0-or-later
"""Analytic antialiasing of silhouettes with nvdiffrast's conventions, differentiable in colours and positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp
from torch.utils.weak import WeakTensorKeyDictionary

from . import antialias_kernels as kernels
from .arrays import group, view
from .checks import check_tensor, check_triangles
from .launch import launch, slots


@dataclass
class TopologyHash:
    """Which triangles share edges, as made by :func:`antialias_construct_topology_hash`."""

    # [T, 3] int32 for the edge opposite to each vertex: -1, or twice the other triangle's index, plus 1 if both run
    # along the edge in the same direction
    adjacency: torch.Tensor


# Topologies of the index tensors that are alive, with the version of the tensor they were made of.
_topologies: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def antialias_construct_topology_hash(tri: torch.Tensor) -> TopologyHash:
    """The edges of ``tri`` (int32 [T, 3]), for the argument ``topology_hash`` of :func:`antialias`.

    At an edge with more than two triangles, each looks at the next one only.
    """
    tri = check_tensor("tri", tri, (None, 3), torch.int32)
    vertices = int(tri.max()) + 1 if tri.numel() else 1
    if tri.numel() and int(tri.min()) < 0:
        raise ValueError("tri has negative indices")
    begin, end = tri[:, [1, 2, 0]].reshape(-1).long(), tri[:, [2, 0, 1]].reshape(-1).long()
    key, order = torch.sort(torch.minimum(begin, end) * vertices + torch.maximum(begin, end), stable=True)
    position = torch.arange(len(key), device=tri.device)
    first = torch.ones_like(key, dtype=torch.bool)
    first[1:] = key[1:] != key[:-1]
    group_start = torch.cummax(torch.where(first, position, 0), 0).values if len(key) else position
    following = torch.where(torch.cat([first[1:], first.new_ones(min(len(key), 1))]), group_start, position + 1)
    neighbour = order[following]
    same = (begin < end)[order] == (begin < end)[neighbour]
    found = torch.where(neighbour == order, -1, 2 * (neighbour // 3) + same)
    adjacency = torch.empty_like(key, dtype=torch.int32)
    adjacency[order] = found.to(torch.int32)
    return TopologyHash(adjacency.view(-1, 3))


def _topology(tri: torch.Tensor) -> TopologyHash:
    """The topology of a tensor that was seen before and not changed since, or a new one."""
    version, topology = _topologies.get(tri, (None, None))
    if topology is None or version != tri._version:
        topology = antialias_construct_topology_hash(tri)
        _topologies[tri] = (tri._version, topology)
    return topology


def checked_topology(tri: torch.Tensor, topology: TopologyHash | None, device: torch.device) -> TopologyHash:
    """The topology of ``tri``, made now unless it is given; ValueError if that is of another ``tri``."""
    if topology is None:
        topology = _topology(tri)
    elif not isinstance(topology, TopologyHash):
        raise TypeError("topology_hash must come from antialias_construct_topology_hash")
    if topology.adjacency.shape != tri.shape or topology.adjacency.device != device:
        raise ValueError("topology_hash was made for another tri")
    return topology


def silhouette_edges(
    pos: torch.Tensor, tri: torch.Tensor, topology: TopologyHash, images: int, height: int, width: int
) -> tuple[kernels.Images, torch.Tensor, torch.Tensor]:
    """Sizes for the kernels, the bits of the triangles (int32) that say which edges are silhouettes, and how the
    triangles are turned in the image (int32: 1 counter-clockwise, -1 clockwise, 0 edge-on).

    There are [N * T] of both for ``pos`` [N, V, 4], and [T] where all images share ``pos`` [V, 4].
    """
    triangles, vertices, device = tri.shape[0], pos.shape[-2], str(pos.device)
    shared = pos.dim() == 2
    items = triangles * (1 if shared else images)
    sign, mask = (torch.empty(items, dtype=torch.int32, device=pos.device) for _ in range(2))
    arrays = [view(pos, wp.vec4), view(tri, wp.vec3i), view(sign, wp.int32)]
    launch(kernels.orientation_kernel, items, [*arrays, triangles, vertices], device)
    arrays = [view(topology.adjacency, wp.int32), view(sign, wp.int32), view(mask, wp.int32)]
    launch(kernels.silhouette_kernel, items, [*arrays, triangles], device)
    sizes = kernels.Images()
    sizes.width, sizes.height, sizes.triangles = width, height, triangles
    sizes.stride, sizes.mask_stride = (0, 0) if shared else (vertices, triangles)
    return sizes, mask, sign


@dataclass
class _Call:
    tri: torch.Tensor
    mask: torch.Tensor
    images: Any
    boost: float


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, color: torch.Tensor, rast: torch.Tensor, pos: torch.Tensor, call: _Call) -> torch.Tensor:
        device, items = str(color.device), rast.numel() // 4
        dtype, groups = group(color.shape[-1])
        pairs = torch.empty(items, 2, device=color.device)
        arrays = [view(rast, wp.vec4), view(pos, wp.vec4), view(call.tri, wp.vec3i), view(call.mask, wp.int32)]
        w_pairs = view(pairs, wp.float32)
        launch(kernels.pair_kernel, items, [*arrays, w_pairs, call.images], device)
        out = torch.empty_like(color)
        arrays = [view(color, dtype), w_pairs, view(out, dtype)]
        launch(kernels.BLEND[dtype], items, [*arrays, call.images, groups], device)
        ctx.save_for_backward(color, rast, pos, pairs)
        ctx.call = call
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        color, rast, pos, pairs = ctx.saved_tensors
        call: _Call = ctx.call
        device, items = str(color.device), rast.numel() // 4
        dtype, groups = group(color.shape[-1])
        w_out, w_pairs = view(grad_out.contiguous(), dtype), view(pairs, wp.float32)
        shared = [view(rast, wp.vec4), view(pos, wp.vec4), view(call.tri, wp.vec3i), view(call.mask, wp.int32)]
        grad_color = grad_pos = None
        if ctx.needs_input_grad[0]:
            grad_color = torch.empty_like(color)
            arrays = [w_out, w_pairs, view(grad_color, dtype)]
            launch(kernels.COLOR_GRADIENT[dtype], items, [*arrays, call.images, groups], device)
        if ctx.needs_input_grad[2]:
            buffer = torch.zeros(slots(device), *pos.shape, device=pos.device)
            arrays = [view(color, dtype), w_out, *shared, w_pairs, view(buffer, wp.vec4)]
            tail = [call.images, groups, pos.numel() // 4, call.boost]
            launch(kernels.POSITION_GRADIENT[dtype], items, [*arrays, *tail], device)
            grad_pos = buffer.sum(0)
        return grad_color, None, grad_pos, None


def antialias(
    color: torch.Tensor,
    rast: torch.Tensor,
    pos: torch.Tensor,
    tri: torch.Tensor,
    topology_hash: TopologyHash | None = None,
    pos_gradient_boost: float = 1.0,
) -> torch.Tensor:
    """Blend colours across silhouette edges between neighbouring pixels, with nvdiffrast's conventions.

    ``color``: float32 [N, H, W, C]; ``rast``: [N, H, W, 4] from :func:`rasterize`; ``pos``: clip-space positions
    [N, V, 4], or [V, 4] in range mode; ``tri``: int32 [T, 3]; ``topology_hash``: from
    :func:`antialias_construct_topology_hash`, otherwise made once for each tensor ``tri``. Returns [N, H, W, C].

    Of two neighbouring pixels with different ids the nearer surface's triangle counts; if one of its silhouette edges
    lies between them, at the distance d from its pixel, that pixel gets (0.5 - d) of the difference to the other
    (d < 0.5), or the other gets d - 0.5 of it. First-order gradients flow to ``color`` and, multiplied by
    ``pos_gradient_boost``, to ``pos``. Raises TypeError or ValueError that names the argument.
    """
    color = check_tensor("color", color, (None, None, None, None))
    images, height, width, channels = color.shape
    if channels == 0:
        raise ValueError("color must have at least one channel")
    rast = check_tensor("rast", rast, (images, height, width, 4), device=color.device)
    ranged = isinstance(pos, torch.Tensor) and pos.dim() == 2
    pos = check_tensor("pos", pos, (None, 4) if ranged else (images, None, 4), device=color.device)
    indices = check_triangles(tri, pos.shape[-2], color.device)
    topology_hash = checked_topology(tri, topology_hash, color.device)
    if not pos_gradient_boost >= 0:
        raise ValueError(f"pos_gradient_boost must be a number from 0 on, not {pos_gradient_boost!r}")
    sizes, mask, _ = silhouette_edges(pos, indices, topology_hash, images, height, width)
    return _Antialias.apply(color, rast, pos, _Call(indices, mask, sizes, float(pos_gradient_boost)))
