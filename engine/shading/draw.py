# SPDX-License-Identifier: GPL-3.0-or-later
"""Proposals for the light samples of pixels: directions to lights, to the environment and by the BSDF, with their rays.

Lights and environment are sampled directly and by the BSDF, combined by the balance heuristic (Veach, Guibas 1995).
Proposals have fixed places, so that nothing depends on the order in which pixels are worked on: pixel r owns the rows
r * n … r * n + n - 1. Where nothing can arrive there is a row without a ray.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..rays import RayArrays, Rays
from .environment import sample_environment
from .lights import FAR, LightArrays, sample_light
from .lobes import read_lobes
from .paths import World, bsdf_density, bsdf_sampler, coat_of, faces, sample_bsdf, shadow_origin
from .shade import Pixels, frame_of

# Shadow rays end a little before their light, which is not part of the geometry but may touch it.
REACH = wp.constant(0.9999)


@wp.struct
class Hits:
    """Directly visible surface points, [P]."""

    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)  # weights of the triangle's first and second corner
    position: wp.array(dtype=wp.vec3)
    side: wp.array(dtype=wp.float32)  # -1 where the back is seen


@wp.struct
class ProposalArrays:
    """Rays with a number each: the weight of a direct sample, the density of a BSDF sample; 0: no sample."""

    rays: RayArrays
    value: wp.array(dtype=wp.float32)
    uv: wp.array(dtype=wp.vec2)  # texture coordinates of a direct sample of the environment


@dataclass
class Proposals:
    """Owner of the arrays (40 bytes a proposal)."""

    rays: Rays
    value: torch.Tensor  # [N] float32
    uv: torch.Tensor  # [N, 2] float32

    @classmethod
    def empty(cls, count: int, device: str) -> Proposals:
        """Room for `count` proposals."""
        value, uv = (torch.empty(shape, dtype=torch.float32, device=device) for shape in (count, (count, 2)))
        return cls(Rays.empty(count, device), value, uv)

    def first(self, count: int) -> Proposals:
        """The first `count` of the proposals, in the same memory."""
        return Proposals(self.rays.first(count), self.value[:count], self.uv[:count])

    def arrays(self) -> ProposalArrays:
        """Views for kernels; valid while this object lives."""
        arrays = ProposalArrays()
        arrays.rays = self.rays.arrays()
        arrays.value = wp.from_torch(self.value)
        arrays.uv = wp.from_torch(self.uv, dtype=wp.vec2)
        return arrays


@wp.func
def light_tries(lights: LightArrays, l: int, samples: int):
    """Samples that light l gets; all samples of a light without size would be the same."""
    tries = samples
    if lights.extent[l] <= 0.0:
        tries = 1
    return tries


@wp.func
def shifted(shift: float, index: int, step: float):
    """Point `index` of an additive recurrence from `shift`, in [0, 1)."""
    x = shift + float(index) * step
    return x - wp.floor(x)


# The R2 sequence (Roberts 2018), shifted at random for each pixel and strategy.
_R2_X = wp.constant(0.7548776662466927)
_R2_Y = wp.constant(0.5698402909980532)


@wp.func
def _propose(
    proposals: ProposalArrays,
    k: int,
    world: World,
    hits: Hits,
    pixels: Pixels,
    i: int,
    direction: wp.vec3,
    reach: float,
    weight: float,
):
    """Row k: a sample from `direction` to pixel i. It needs no ray if its reach is negative."""
    t_max = float(-1.0)
    if weight > 0.0:
        proposals.rays.direction[k] = direction
        if reach > 0.0:
            t_max = reach
            bary = hits.barycentric[i]
            proposals.rays.origin[k] = shadow_origin(
                world.geometry, hits.face[i], bary[0], bary[1], hits.position[i],
                pixels.geometric[i], pixels.smooth[i], hits.side[i], direction,
            )  # fmt: skip
    proposals.rays.t_max[k] = t_max
    proposals.value[k] = weight


@wp.kernel(enable_backward=False)
def draw_direct_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    hits: Hits,
    pixels: Pixels,
    lobe_rows: wp.array2d(dtype=wp.float32),
    layer_rows: wp.array2d(dtype=wp.float32),
    seed: int,
    each: int,
    light_samples: int,
    environment_samples: int,
    bsdf_samples: int,
    proposals: ProposalArrays,
):
    """`each` proposals a pixel: for light 0, 1, …, then for the environment; `first` is the pixel of row 0."""
    r = start + wp.tid()
    i = first + r
    rng = wp.rand_init(seed, i)
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    sampler = bsdf_sampler(lobes, frame, coat_of(layer_rows, pixels, i))
    position = hits.position[i]
    by_bsdf = float(bsdf_samples)
    k = int(r * each)
    for l in range(world.lights.count):
        tries = light_tries(world.lights, l, light_samples)
        shift_u = wp.randf(rng)
        shift_v = wp.randf(rng)
        for j in range(tries):
            light = sample_light(world.lights, l, position, shifted(shift_u, j, _R2_X), shifted(shift_v, j, _R2_Y))
            weight = float(0.0)
            if light.radiance > 0.0 and faces(sampler, light.direction):
                weight = light.radiance
                if light.density > 0.0:
                    chance = float(tries) * light.density
                    weight = weight / (chance + by_bsdf * bsdf_density(sampler, light.direction))
            reach = light.distance * REACH
            if world.lights.shadow[l] == 0:
                reach = -1.0
            _propose(proposals, k, world, hits, pixels, i, light.direction, reach, weight)
            k += 1
    shift_u = wp.randf(rng)
    shift_v = wp.randf(rng)
    for j in range(environment_samples):
        sky = sample_environment(world.environment, shifted(shift_u, j, _R2_X), shifted(shift_v, j, _R2_Y))
        weight = float(0.0)
        if faces(sampler, sky.direction):
            chance = float(environment_samples) * sky.density
            weight = 1.0 / (chance + by_bsdf * bsdf_density(sampler, sky.direction))
        proposals.uv[k] = sky.uv
        _propose(proposals, k, world, hits, pixels, i, sky.direction, FAR, weight)
        k += 1


@wp.kernel(enable_backward=False)
def draw_bsdf_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    hits: Hits,
    pixels: Pixels,
    lobe_rows: wp.array2d(dtype=wp.float32),
    layer_rows: wp.array2d(dtype=wp.float32),
    seed: int,
    bsdf_samples: int,
    proposals: ProposalArrays,
):
    """`bsdf_samples` proposals a pixel; `first` is the pixel of row 0."""
    r = start + wp.tid()
    i = first + r
    rng = wp.rand_init(seed + 7919, i)
    lobes = read_lobes(lobe_rows, i)
    sampler = bsdf_sampler(lobes, frame_of(pixels, i), coat_of(layer_rows, pixels, i))
    geometric = pixels.geometric[i]
    origin = hits.position[i] + geometric * world.geometry.epsilon
    shift_u = wp.randf(rng)
    shift_v = wp.randf(rng)
    shift_w = wp.randf(rng)
    for j in range(bsdf_samples):
        k = r * bsdf_samples + j
        choice = (float(j) + shift_w) / float(bsdf_samples)
        d = sample_bsdf(sampler, choice, shifted(shift_u, j, _R2_X), shifted(shift_v, j, _R2_Y))
        density = float(0.0)
        t_max = float(-1.0)
        if wp.dot(d, geometric) > 0.0:
            density = float(bsdf_samples) * bsdf_density(sampler, d)
            if density > 0.0:
                t_max = FAR
        proposals.rays.origin[k] = origin
        proposals.rays.direction[k] = d
        proposals.rays.t_max[k] = t_max
        proposals.value[k] = density
