# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills the radiance cache (radiance_cache.py) for a scene as it is at this moment.

Paths begin where cameras look. At each of their surfaces it is found out by rays what a white matte surface would reflect
of lights, environment and emitters, and one ray onward tells which surface its indirect light comes from. Sums over the
leaves of the cache then stand for the surfaces: one pass over all points is one more reflection of all light.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import warp as wp

from ..camera import Projection
from ..ops.launch import launch
from ..rays import RayHits, RayTracer
from ..view_kernels import camera_rays
from .indirect import PathArrays, Paths, albedo_of, trace_wave
from .paths import World
from .radiance_cache import CacheArrays, Tree, leaf_of
from .secondary import surface_at

# Surface points that paths begin at: one for so many pixels, but no less and no more than these. A path visits so many
# surfaces.
_PIXELS = 8
_FEWEST, _MOST = 2048, 8192
_SURFACES = 3


@wp.kernel(enable_backward=False)
def _surface_kernel(
    start: int,
    slot: int,
    world: World,
    paths: PathArrays,
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    albedo: wp.array(dtype=wp.vec3),
):
    k = start + wp.tid()
    bary = paths.barycentric[k]
    s = surface_at(world.geometry, world.materials, paths.face[k], bary[0], bary[1], paths.ray[k])
    position[k] = s.position
    normal[k] = s.normal
    albedo[k] = albedo_of(s, -paths.ray[k], world.tables)


@wp.kernel(enable_backward=False)
def _leaf_kernel(
    start: int,
    slot: int,
    cache: CacheArrays,
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    leaf: wp.array(dtype=wp.int32),
):
    k = start + wp.tid()
    leaf[k] = leaf_of(cache, position[k], normal[k])


def seen_points(tracer: RayTracer, projections: Sequence[Projection], device: str) -> tuple[RayHits, torch.Tensor]:
    """Surface points [N] that cameras see through an even grid over their pictures, and the rays [N, 3] to them."""
    faces, places, rays = [], [], []
    pixels = sum(projection.width * projection.height for projection in projections)
    each = min(max(pixels // _PIXELS, _FEWEST), _MOST) / len(projections)
    for projection in projections:
        width = max(4, round((each * projection.width / projection.height) ** 0.5))
        height = max(4, round(each / width))
        x = (np.arange(width) + 0.5) * projection.width / width
        y = (np.arange(height) + 0.5) * projection.height / height
        shot = camera_rays(projection, x, y, torch.arange(width * height, device=device))
        met = tracer.intersect(shot)
        hit = torch.nonzero(met.face >= 0)[:, 0]
        faces.append(met.face[hit])
        places.append(met.barycentric[hit])
        rays.append(shot.direction[hit])
    return RayHits(torch.cat(faces), torch.cat(places), torch.empty(0)), torch.cat(rays)


def _surfaces(world: World, paths: Paths) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Positions, normals and albedos [M, 3] where paths have arrived."""
    columns = [torch.empty((len(paths.face), 3), device=paths.face.device) for _ in range(3)]
    inputs = [world, paths.arrays(), *(wp.from_torch(column, dtype=wp.vec3) for column in columns)]
    launch(_surface_kernel, len(paths.face), inputs, str(paths.face.device))
    return columns[0], columns[1], columns[2]


def _leaves(cache: CacheArrays, position: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """The leaves [N] int64 that points [N, 3] with normals [N, 3] belong to."""
    leaf = torch.empty(len(position), dtype=torch.int32, device=position.device)
    inputs = [wp.from_torch(column, dtype=wp.vec3) for column in (position, normal)]
    launch(_leaf_kernel, len(leaf), [cache, *inputs, wp.from_torch(leaf)], str(position.device))
    return leaf.long()


def radiance_cache(
    world: World, tracer: RayTracer, points: RayHits, rays: torch.Tensor, reflections: int, seed: int
) -> CacheArrays:
    """The cache for `world`, whose leaves know the light after up to `reflections` reflections, their own included.

    Paths begin at `points` [N] (see `seen_points`) that are seen along the unit `rays` [N, 3].
    """
    device = rays.device
    paths = Paths.beginning(points.face, points.barycentric, rays)
    columns: list[tuple[torch.Tensor, ...]] = []
    for surface in range(_SURFACES):
        count = len(paths.face)
        if count == 0:
            break
        position, normal, _ = _surfaces(world, paths)
        paths.throughput = torch.ones_like(position)
        paths.target = torch.arange(count, dtype=torch.int32, device=device)
        paths.density = torch.zeros(count, device=device)
        direct = torch.zeros_like(position)
        wave, hits = trace_wave(world, tracer, paths, paths.target, seed, surface, direct, white=True)
        assert hits is not None
        alive = torch.nonzero(hits.face >= 0)[:, 0]
        onward = paths.onward(wave, hits, alive)
        emission, there = torch.zeros_like(direct), [torch.zeros_like(position) for _ in range(3)]
        for column, values in zip(there, _surfaces(world, onward), strict=True):
            column[alive] = values
        factor = paths.throughput * there[2]
        columns.append((position, normal, direct, there[0], there[1], factor))
        paths = onward
    position, normal, direct, there, facing, factor = (torch.cat(column) for column in zip(*columns, strict=True))
    tree = Tree.over(position, normal)
    radiance = torch.zeros((len(tree.axis), 3), device=device)
    here, next_one = (_leaves(tree.arrays(radiance), *place) for place in ((position, normal), (there, facing)))
    for _ in range(reflections):
        radiance = tree.means(here, direct + factor * radiance[next_one])
    return tree.arrays(radiance)
