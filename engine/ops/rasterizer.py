# SPDX-License-Identifier: GPL-3.0-or-later
"""Rasterization and depth peeling of clip-space triangles, differentiable with respect to the vertex positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import warp as wp

from .arrays import view
from .barycentric_kernels import position_gradient_kernel, resolve_kernel
from .checks import INT32_MAX, check_spans, check_tensor, check_triangles
from .context import RasterizeContext
from .launch import launch, owners, slots
from .rasterize_clip_kernels import careful_triangle_kernel
from .rasterize_kernels import triangle_kernel, vertex_kernel

# Strips of rows are shared out among this many GPU threads for each triangle.
_CUDA_OWNERS = 8


class _Scene:
    """Checked arguments of a call: tensors, and the sizes that the kernels need."""

    def __init__(
        self, ctx: RasterizeContext, pos: torch.Tensor, tri: torch.Tensor, resolution: Sequence[int], ranges: Any
    ) -> None:
        if not isinstance(ctx, RasterizeContext):
            raise TypeError(f"ctx must be a RasterizeContext, not {type(ctx).__name__}")
        self.pos = check_tensor("pos", pos, (None, 4) if ranges is not None else (None, None, 4))
        self.device = self.pos.device
        ctx.check(self.device)
        self.tri = check_triangles(tri, self.pos.shape[-2], self.device)
        if len(resolution) != 2 or any(int(side) != side or side < 1 for side in resolution):
            raise ValueError(f"resolution must be (height, width), both positive integers, not {tuple(resolution)}")
        self.height, self.width = (int(side) for side in resolution)
        triangles = self.tri.shape[0]
        self.images, self.vertices, self.triangles = self.pos.shape[0], self.pos.shape[1], triangles
        if ranges is None:
            spans = check_spans(None, triangles, self.images)
        else:
            spans = check_spans(ranges, triangles, 0)
            # all images share the vertices: no offset from one image to the next
            self.images, self.vertices = spans.shape[0], 0
            self.triangles = int(spans[:, 1].max()) if len(spans) else 0
        self.ranges = spans.to(self.device).contiguous()
        self.pixels = self.images * self.height * self.width
        items = self.images * self.triangles
        self.owners = owners(items, "cpu") if self.device.type == "cpu" else _CUDA_OWNERS
        if max(4 * self.pixels, items * self.owners) > INT32_MAX:
            raise ValueError("resolution times the number of images in pos (or ranges) is more than the ops can index")


def _visible(scene: _Scene, previous: torch.Tensor | None) -> torch.Tensor:
    """Keys [N * H * W] of the nearest triangles, beyond those of ``previous`` if given."""
    device = str(scene.device)
    vertices = scene.pos.numel() // 4
    screen = torch.empty(vertices, 3, device=scene.device)
    grid = torch.empty(vertices, 3, dtype=torch.int32, device=scene.device)
    keys = torch.full((scene.pixels,), -1, dtype=torch.int64, device=scene.device)
    needs_care = torch.zeros(slots(device), dtype=torch.int32, device=scene.device)
    pos, tri, spans = view(scene.pos, wp.vec4), view(scene.tri, wp.vec3i), view(scene.ranges, wp.vec2i)
    w_screen, w_grid, w_keys = view(screen, wp.vec3), view(grid, wp.vec3i), view(keys, wp.uint64)
    w_care = view(needs_care, wp.int32)
    size = (scene.width, scene.height)
    launch(vertex_kernel, vertices, [pos, w_screen, w_grid, w_care, *size], device)
    items = scene.images * scene.triangles
    shared = [
        w_keys,
        w_keys if previous is None else view(previous, wp.uint64),
        int(previous is not None),
        items,
        scene.triangles,
        scene.vertices,
        scene.owners,
        *size,
    ]
    launch(triangle_kernel, items * scene.owners, [tri, spans, w_grid, w_screen, *shared, w_care], device)
    # on a GPU, asking would cost more than the launch
    if device != "cpu" or bool(needs_care.any()):
        launch(careful_triangle_kernel, items * scene.owners, [tri, spans, w_grid, pos, *shared, 6], device)
    return keys


class _Resolve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pos: torch.Tensor, keys: torch.Tensor, scene: _Scene, grad_db: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (scene.images, scene.height, scene.width, 4)
        rast = torch.empty(shape, device=pos.device)
        rast_db = torch.empty(shape, device=pos.device)
        arrays = [view(pos, wp.vec4), view(scene.tri, wp.vec3i), view(keys, wp.uint64)]
        outputs = [view(rast, wp.vec4), view(rast_db, wp.vec4)]
        sizes = (scene.vertices, scene.width, scene.height)
        launch(resolve_kernel, scene.pixels, [*arrays, *outputs, *sizes], str(pos.device))
        ctx.save_for_backward(pos, scene.tri, rast)
        ctx.sizes, ctx.grad_db = sizes, grad_db
        ctx.set_materialize_grads(False)
        return rast, rast_db

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_rast: torch.Tensor | None, grad_rast_db: torch.Tensor | None
    ) -> tuple[torch.Tensor | None, ...]:
        pos, tri, rast = ctx.saved_tensors
        if not ctx.grad_db:
            grad_rast_db = None
        if grad_rast is None and grad_rast_db is None:
            return None, None, None, None
        device = str(pos.device)
        w_pos, w_rast = view(pos, wp.vec4), view(rast, wp.vec4)
        grad = torch.zeros(slots(device), *pos.shape, device=pos.device)
        # a kernel argument cannot be missing: rast stands in for what is not read
        w_grad = w_rast if grad_rast is None else view(grad_rast.contiguous(), wp.vec4)
        w_grad_db = w_rast if grad_rast_db is None else view(grad_rast_db.contiguous(), wp.vec4)
        flags = (int(grad_rast is not None), int(grad_rast_db is not None))
        arrays = [w_pos, view(tri, wp.vec3i), w_rast, w_grad, w_grad_db, view(grad, wp.vec4), *flags]
        inputs = [*arrays, pos.numel() // 4, *ctx.sizes]
        launch(position_gradient_kernel, rast.numel() // 4, inputs, device)
        return grad.sum(0), None, None, None


def rasterize(
    ctx: RasterizeContext,
    pos: torch.Tensor,
    tri: torch.Tensor,
    resolution: Sequence[int],
    ranges: torch.Tensor | None = None,
    grad_db: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest triangle in every pixel, with nvdiffrast's conventions.

    ``pos``: clip-space positions, float32 [N, V, 4], or [V, 4] with ``ranges``; ``tri``: int32 [T, 3]; ``resolution``:
    (height, width); ``ranges``: int32 [N, 2], (first triangle, count) of each image. Row 0 is the bottom row.

    Returns ``rast`` [N, H, W, 4] = (u, v, z/w, triangle index + 1), all 0 where nothing is; u and v are the
    perspective-correct weights of the first and second vertex; and ``rast_db`` [N, H, W, 4] = (du/dX, du/dY,
    dv/dX, dv/dY) in pixels. Coverage is decided on vertices rounded to 1/16 pixel, left and bottom edges inclusive.

    First-order gradients flow from u, v and (with ``grad_db``) from rast_db to x, y and w of ``pos``.
    Raises TypeError or ValueError that names the argument.
    """
    scene = _Scene(ctx, pos, tri, resolution, ranges)
    rast, rast_db = _Resolve.apply(scene.pos, _visible(scene, None), scene, bool(grad_db))
    return rast, rast_db


class DepthPeeler:
    """Layers of surfaces from near to far; arguments as in :func:`rasterize`.

    ``with DepthPeeler(ctx, pos, tri, resolution) as peeler: rast, rast_db = peeler.rasterize_next_layer()``
    """

    def __init__(
        self,
        ctx: RasterizeContext,
        pos: torch.Tensor,
        tri: torch.Tensor,
        resolution: Sequence[int],
        ranges: torch.Tensor | None = None,
        grad_db: bool = True,
    ) -> None:
        self._scene = _Scene(ctx, pos, tri, resolution, ranges)
        self._grad_db = bool(grad_db)
        self._keys: torch.Tensor | None = None
        self._active = False

    def __enter__(self) -> DepthPeeler:
        self._active = True
        self._keys = None
        return self

    def __exit__(self, *_: object) -> None:
        self._active = False
        self._keys = None

    def rasterize_next_layer(self) -> tuple[torch.Tensor, torch.Tensor]:
        """``rast`` and ``rast_db`` of the surfaces strictly behind those of the previous call."""
        if not self._active:
            raise RuntimeError("rasterize_next_layer works inside 'with DepthPeeler(...) as peeler:' only")
        self._keys = _visible(self._scene, self._keys)
        rast, rast_db = _Resolve.apply(self._scene.pos, self._keys, self._scene, self._grad_db)
        return rast, rast_db
