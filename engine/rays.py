# SPDX-License-Identifier: GPL-3.0-or-later
"""Ray queries on a scene's triangles, in batches.

On the CPU Embree traces them where its Python binding `embreex` can be imported (it is optional: not every platform has
a wheel); everywhere else, and on CUDA, Warp's mesh queries do, about four times as slowly on a CPU. Both take and give
torch tensors on their device, mean the same by them, and give the same results in every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import warp as wp

from .ops.launch import launch, run_ranges

try:
    from embreex.mesh_construction import TriangleMesh
    from embreex.rtcore_scene import EmbreeScene
except ImportError:
    EmbreeScene = None

# Rays that a thread traces before it takes the next ones: few enough for an even share of the work and for its caches.
RAYS_A_PIECE = 16384


@wp.struct
class RayArrays:
    """Rays as kernels see them, see RayTracer."""

    origin: wp.array(dtype=wp.vec3)
    direction: wp.array(dtype=wp.vec3)
    t_max: wp.array(dtype=wp.float32)


@dataclass
class Rays:
    """Owner of N rays, see RayTracer."""

    origin: torch.Tensor  # [N, 3] float32
    direction: torch.Tensor  # [N, 3] float32
    t_max: torch.Tensor  # [N] float32, in lengths of the direction; negative: no ray

    @classmethod
    def empty(cls, count: int, device: str | torch.device) -> Rays:
        """Room for `count` rays."""
        return cls(
            torch.empty((count, 3), dtype=torch.float32, device=device),
            torch.empty((count, 3), dtype=torch.float32, device=device),
            torch.empty(count, dtype=torch.float32, device=device),
        )

    def first(self, count: int) -> Rays:
        """The first `count` of the rays, in the same memory."""
        return Rays(self.origin[:count], self.direction[:count], self.t_max[:count])

    def arrays(self) -> RayArrays:
        """Views for kernels; valid while this object lives."""
        arrays = RayArrays()
        arrays.origin = wp.from_torch(self.origin, dtype=wp.vec3)
        arrays.direction = wp.from_torch(self.direction, dtype=wp.vec3)
        arrays.t_max = wp.from_torch(self.t_max)
        return arrays


@wp.struct
class HitArrays:
    """Hits as kernels see them, see RayHits."""

    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)
    distance: wp.array(dtype=wp.float32)


@dataclass
class RayHits:
    """What N rays met first."""

    face: torch.Tensor  # [N] int32, -1: nothing
    # [N, 2] float32, weights of the triangle's first and second corner (Warp's convention); undefined without a hit
    barycentric: torch.Tensor
    distance: torch.Tensor  # [N] float32, in lengths of the direction; undefined without a hit

    @classmethod
    def empty(cls, count: int, device: str | torch.device) -> RayHits:
        """Room for the hits of `count` rays."""
        return cls(
            torch.empty(count, dtype=torch.int32, device=device),
            torch.empty((count, 2), dtype=torch.float32, device=device),
            torch.empty(count, dtype=torch.float32, device=device),
        )

    def arrays(self) -> HitArrays:
        """Views for kernels; valid while this object lives."""
        arrays = HitArrays()
        arrays.face = wp.from_torch(self.face)
        arrays.barycentric = wp.from_torch(self.barycentric, dtype=wp.vec2)
        arrays.distance = wp.from_torch(self.distance)
        return arrays


class RayTracer(Protocol):
    """Triangles that rays can be shot at.

    Rays are contiguous tensors on the tracer's device and reach `t_max` lengths of their direction from their origin.
    One whose `t_max` is negative meets nothing and costs next to nothing, so that batches need no compaction; one that
    holds a NaN meets nothing either. Degenerate triangles are never met.
    """

    def update(self, positions: torch.Tensor) -> None:
        """Go on with the vertices at `positions` [V, 3]."""

    def occluded(self, rays: Rays) -> torch.Tensor:
        """Whether each ray meets a triangle, [N] bool."""

    def intersect(self, rays: Rays) -> RayHits:
        """The nearest triangle that each ray meets."""


def ray_tracer(positions: torch.Tensor, triangles: np.ndarray) -> RayTracer:
    """The fastest tracer for the triangles [T, 3] over vertices [V, 3]; the device is that of `positions`."""
    if EmbreeScene is not None and positions.device.type == "cpu":
        return EmbreeTracer(positions, triangles)
    return WarpTracer(positions, triangles)


class EmbreeTracer:
    """Rays by Embree, CPU only."""

    def __init__(self, positions: torch.Tensor, triangles: np.ndarray) -> None:
        self._triangles = np.ascontiguousarray(triangles, np.int32)
        self._rows: np.ndarray | None = None
        self._build(positions, self._triangles)

    def update(self, positions: torch.Tensor) -> None:
        """See RayTracer. The binding offers no refit: the tree is built anew."""
        if self._rows is None:
            # The binding takes corner by corner as `triangles[i][j]`, which of tuples is three times as fast as of an
            # array. Made only where vertices move: it takes as long as the first build, and 170 bytes a triangle.
            self._rows = np.empty(len(self._triangles), object)
            self._rows[:] = list(map(tuple, self._triangles.tolist()))
        self._build(positions, self._rows)

    def _build(self, positions: torch.Tensor, triangles: np.ndarray) -> None:
        self._scene = EmbreeScene(robust=True)  # watertight, like Warp's queries
        TriangleMesh(self._scene, positions.detach().contiguous().numpy(), triangles)
        # The tree is built by the first query; no two threads may try that at a time.
        nowhere = np.zeros((1, 3), np.float32)
        self._scene.run(nowhere, nowhere, np.full(1, -1.0, np.float32), query="OCCLUDED")

    def occluded(self, rays: Rays) -> torch.Tensor:
        """See RayTracer."""
        found = np.empty(len(rays.t_max), bool)
        origins, directions, limits = rays.origin.numpy(), rays.direction.numpy(), rays.t_max.numpy()

        def trace(start: int, slot: int, items: int) -> None:
            part = slice(start, start + items)
            geometry = self._scene.run(origins[part], directions[part], limits[part], query="OCCLUDED")
            # Embree marks rays that it need not trace by a negative reach, which the binding takes for met.
            np.logical_and(geometry >= 0, limits[part] > 0, out=found[part])

        run_ranges(_pieces(len(limits)), trace)
        return torch.from_numpy(found)

    def intersect(self, rays: Rays) -> RayHits:
        """See RayTracer."""
        hits = RayHits.empty(len(rays.t_max), "cpu")
        origins, directions, limits = rays.origin.numpy(), rays.direction.numpy(), rays.t_max.numpy()
        face, barycentric, distance = hits.face.numpy(), hits.barycentric.numpy(), hits.distance.numpy()

        def trace(start: int, slot: int, items: int) -> None:
            part = slice(start, start + items)
            distance[part] = limits[part]  # the binding writes the distances over the reaches
            found = self._scene.run(origins[part], directions[part], distance[part], output=True)
            face[part] = np.where(limits[part] > 0, found["primID"], -1)
            # Embree's u and v weigh the second and third corner.
            np.subtract(1.0, found["u"], out=barycentric[part, 0])
            barycentric[part, 0] -= found["v"]
            barycentric[part, 1] = found["u"]

        run_ranges(_pieces(len(limits)), trace)
        return hits


def _pieces(count: int) -> list[int]:
    return [*range(0, count, RAYS_A_PIECE), count]


@wp.kernel(enable_backward=False)
def _occluded_kernel(
    start: int,
    slot: int,
    mesh: wp.uint64,
    rays: RayArrays,
    found: wp.array(dtype=wp.bool),
):
    i = start + wp.tid()
    found[i] = False
    if rays.t_max[i] > 0.0:
        found[i] = wp.mesh_query_ray_anyhit(mesh, rays.origin[i], rays.direction[i], rays.t_max[i])


@wp.kernel(enable_backward=False)
def _intersect_kernel(
    start: int,
    slot: int,
    mesh: wp.uint64,
    rays: RayArrays,
    hits: HitArrays,
):
    i = start + wp.tid()
    hits.face[i] = -1
    if rays.t_max[i] > 0.0:
        query = wp.mesh_query_ray(mesh, rays.origin[i], rays.direction[i], rays.t_max[i])
        if query.result:
            hits.face[i] = query.face
            hits.barycentric[i] = wp.vec2(query.u, query.v)
            hits.distance[i] = query.t


class WarpTracer:
    """Rays by Warp, on any device."""

    def __init__(self, positions: torch.Tensor, triangles: np.ndarray) -> None:
        self._device = str(positions.device)
        points = wp.clone(wp.from_torch(positions.detach().contiguous(), dtype=wp.vec3))
        indices = wp.array(np.ascontiguousarray(triangles, np.int32).ravel(), dtype=wp.int32, device=self._device)
        self._mesh = wp.Mesh(points=points, indices=indices)

    def update(self, positions: torch.Tensor) -> None:
        """See RayTracer. The tree keeps its shape and adapts its boxes."""
        wp.copy(self._mesh.points, wp.from_torch(positions.detach().contiguous(), dtype=wp.vec3))
        self._mesh.refit()

    def occluded(self, rays: Rays) -> torch.Tensor:
        """See RayTracer."""
        found = torch.empty(len(rays.t_max), dtype=torch.bool, device=rays.t_max.device)
        launch(_occluded_kernel, len(found), [self._mesh.id, rays.arrays(), wp.from_torch(found)], self._device)
        return found

    def intersect(self, rays: Rays) -> RayHits:
        """See RayTracer."""
        hits = RayHits.empty(len(rays.t_max), rays.t_max.device)
        launch(_intersect_kernel, len(hits.face), [self._mesh.id, rays.arrays(), hits.arrays()], self._device)
        return hits
