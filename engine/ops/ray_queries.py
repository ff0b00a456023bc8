# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays against triangles: what they meet first, or whether they meet anything."""

from __future__ import annotations

import torch

from ..rays import RayHits, Rays, ray_tracer
from .checks import check_tensor, check_triangles


class RayScene:
    """Triangles that rays can be shot at, on CPU and CUDA.

    ``positions``: float32 [V, 3], not clip space; ``tri``: int32 [T, 3] on the same device. The tree over the triangles
    is built once; after vertices have moved, ``refit`` is cheaper than a new scene. Answers carry no gradient.
    """

    def __init__(self, positions: torch.Tensor, tri: torch.Tensor) -> None:
        positions = check_tensor("positions", positions, (None, 3))
        self._vertices, self._device = positions.shape[0], positions.device
        indices = check_triangles(tri, self._vertices, self._device)
        # Of nothing no tree can be built.
        self._tracer = ray_tracer(positions, indices.cpu().numpy()) if len(indices) else None

    def refit(self, positions: torch.Tensor) -> None:
        """Go on with the same triangles over vertices at ``positions`` [V, 3]."""
        positions = check_tensor("positions", positions, (self._vertices, 3), device=self._device)
        if self._tracer is not None:
            self._tracer.update(positions)

    def occluded(
        self, origins: torch.Tensor, directions: torch.Tensor, t_max: torch.Tensor | float = float("inf")
    ) -> torch.Tensor:
        """Whether each ray meets a triangle: bool [N].

        ``origins``, ``directions``: float32 [N, 3], directions of any length; ``t_max``: float32 [N], or one number for
        all: how far, in lengths of the direction; negative for rays that are to be left out.
        """
        rays = self._rays(origins, directions, t_max)
        if self._tracer is None or not len(rays.t_max):
            return torch.zeros(len(rays.t_max), dtype=torch.bool, device=self._device)
        return self._tracer.occluded(rays)

    def intersect(
        self, origins: torch.Tensor, directions: torch.Tensor, t_max: torch.Tensor | float = float("inf")
    ) -> RayHits:
        """The first triangle that each ray meets; arguments as in :meth:`occluded`.

        Returns ``face`` int32 [N], -1 for nothing, and where there is something ``barycentric`` [N, 2], the weights of
        the triangle's first and second vertex (as u and v of :func:`rasterize`), and ``distance`` [N] in lengths of the
        direction.
        """
        rays = self._rays(origins, directions, t_max)
        if self._tracer is None or not len(rays.t_max):
            hits = RayHits.empty(len(rays.t_max), self._device)
            hits.face.fill_(-1)
            return hits
        return self._tracer.intersect(rays)

    def _rays(self, origins: torch.Tensor, directions: torch.Tensor, t_max: torch.Tensor | float) -> Rays:
        origins = check_tensor("origins", origins, (None, 3), device=self._device).detach()
        directions = check_tensor("directions", directions, (len(origins), 3), device=self._device).detach()
        if not isinstance(t_max, torch.Tensor):
            t_max = torch.full((len(origins),), float(t_max), device=self._device)
        t_max = check_tensor("t_max", t_max, (len(origins),), device=self._device).detach()
        return Rays(origins, directions, t_max)
