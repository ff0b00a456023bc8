# SPDX-License-Identifier: GPL-3.0-or-later
"""Fills the radiance cache (radiance_cache.py) for a scene as it is at this moment.

Paths begin where cameras look. At each of their surfaces rays find out what a white matte surface would reflect of
lights, environment and emitters, and one ray onward tells which surface its indirect light comes from. Means over the
leaves of the cache then stand for the surfaces: one pass over all points is one more reflection of all light.

Cycles limits diffuse reflections more than others. So light is kept by how many of them it may still undergo: I(d) is
what arrives after a reflection that leaves d more, I(-1) what comes straight from a light, and

    I(d) = direct + diffuse albedo of the next surface * its I(d - 1) + glossy albedo * its I(d)
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
from .indirect import add_emission, albedo_of, trace_wave
from .paths import World
from .radiance_cache import CacheArrays, Tree, leaf_of
from .secondary import surface_at
from .wave import PathArrays, Paths

# Surfaces that a path visits.
_SURFACES = 3
# Glossy reflections that are followed for each diffuse one.
_GLOSSY = 2


@wp.kernel(enable_backward=False)
def _surface_kernel(
    start: int,
    slot: int,
    world: World,
    paths: PathArrays,
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    diffuse: wp.array(dtype=wp.vec3),
    glossy: wp.array(dtype=wp.vec3),
):
    k = start + wp.tid()
    bary = paths.barycentric[k]
    s = surface_at(world.geometry, world.materials, paths.face[k], bary[0], bary[1], paths.ray[k])
    position[k] = s.position
    normal[k] = s.normal
    albedo = albedo_of(s, -paths.ray[k], world.tables)
    diffuse[k] = albedo.diffuse
    glossy[k] = albedo.glossy


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


def seen_points(
    tracer: RayTracer, projections: Sequence[Projection], count: int, device: str
) -> tuple[RayHits, torch.Tensor]:
    """About `count` surface points [N] that cameras see through even grids over their pictures, and the rays [N, 3] to
    them."""
    faces, places, rays = [], [], []
    each = count / len(projections)
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


def _surfaces(world: World, paths: Paths) -> list[torch.Tensor]:
    """Positions, normals, diffuse and glossy albedos [M, 3] where paths have arrived."""
    columns = [torch.empty((len(paths.face), 3), device=paths.face.device) for _ in range(4)]
    inputs = [world, paths.arrays(), *(wp.from_torch(column, dtype=wp.vec3) for column in columns)]
    launch(_surface_kernel, len(paths.face), inputs, str(paths.face.device))
    return columns


def _leaves(cache: CacheArrays, position: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
    """The leaves [N] int64 that points [N, 3] with normals [N, 3] belong to."""
    leaf = torch.empty(len(position), dtype=torch.int32, device=position.device)
    inputs = [wp.from_torch(column, dtype=wp.vec3) for column in (position, normal)]
    launch(_leaf_kernel, len(leaf), [cache, *inputs, wp.from_torch(leaf)], str(position.device))
    return leaf.long()


def radiance_cache(
    world: World, tracer: RayTracer, points: RayHits, rays: torch.Tensor, bounces: int, seed: int
) -> CacheArrays:
    """The cache for `world` as the second surface of a path with up to `bounces` (at least 2) reflections needs it.

    Paths begin at `points` [N] (see `seen_points`) that are seen along the unit `rays` [N, 3].
    """
    device = rays.device
    paths = Paths.beginning(points.face, points.barycentric, rays)
    rows: list[list[torch.Tensor]] = []
    for surface in range(_SURFACES):
        count = len(paths.face)
        if count == 0:
            break
        here = Paths.beginning(paths.face, paths.barycentric, paths.ray)
        position, normal, _, _ = _surfaces(world, here)
        direct = torch.zeros_like(position)
        wave, hits = trace_wave(world, tracer, here, here.target, seed, surface, direct, white=True)
        assert hits is not None
        alive = torch.nonzero(hits.face >= 0)[:, 0]
        paths = here.onward(wave, hits, alive)
        add_emission(world, paths, direct)
        there = [torch.zeros_like(position) for _ in range(4)]
        for column, values in zip(there, _surfaces(world, paths), strict=True):
            column[alive] = values
        rows.append([position, normal, direct, *there[:2], *(here.throughput * albedo for albedo in there[2:])])
    position, normal, direct, there_at, facing, diffuse, glossy = (
        torch.cat(column) for column in zip(*rows, strict=True)
    )
    tree = Tree.over(position, normal)
    nothing = torch.zeros((len(tree.axis), 3), device=device)
    unlit = tree.arrays(nothing, nothing)
    leaf, next_leaf = (_leaves(unlit, *place) for place in ((position, normal), (there_at, facing)))
    often = tree.means(leaf, direct)
    for _ in range(bounces - 1):
        fewer = often
        by_diffuse = direct + diffuse * fewer[next_leaf]
        for _ in range(_GLOSSY):
            often = tree.means(leaf, by_diffuse + glossy * often[next_leaf])
    return tree.arrays(fewer, often)
