# SPDX-License-Identifier: GPL-3.0-or-later
"""Light samples of pixels by surfaces that glow: a wave of its own, which scenes without them skip; see draw.py."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..ops.launch import launch
from ..rays import RayArrays, Rays, RayTracer
from ..transparency import shadowed
from .draw import REACH, Hits, shifted
from .emitters import emission_at, sample_emitter
from .live_texels import live_source
from .lobes import read_lobes
from .paths import World, bsdf_density, bsdf_sampler, coat_of, faces, shadow_origin
from .samples import SOURCE_CONSTANT, SampleArrays, store_sample
from .secondary import EMISSION
from .shade import Pixels, frame_of

# The R3 sequence (Roberts 2018), shifted at random for each pixel.
_R3_X = wp.constant(0.8191725133961645)
_R3_Y = wp.constant(0.6710436067037893)
_R3_Z = wp.constant(0.5497004779019703)


@wp.struct
class EmitterProposals:
    """Shadow rays to points on glowing surfaces, and the inverse of the chance of each; no sample where it is 0."""

    rays: RayArrays
    weight: wp.array(dtype=wp.float32)
    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)


@dataclass
class _Proposals:
    """Owner of the arrays (44 bytes a proposal)."""

    rays: Rays
    weight: torch.Tensor
    face: torch.Tensor
    barycentric: torch.Tensor

    @classmethod
    def empty(cls, count: int, device: str) -> _Proposals:
        weight = torch.empty(count, dtype=torch.float32, device=device)
        face = torch.empty(count, dtype=torch.int32, device=device)
        return cls(Rays.empty(count, device), weight, face, torch.empty((count, 2), device=device))

    def arrays(self) -> EmitterProposals:
        arrays = EmitterProposals()
        arrays.rays = self.rays.arrays()
        arrays.weight = wp.from_torch(self.weight)
        arrays.face = wp.from_torch(self.face)
        arrays.barycentric = wp.from_torch(self.barycentric, dtype=wp.vec2)
        return arrays


@wp.kernel(enable_backward=False)
def _draw_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    hits: Hits,
    pixels: Pixels,
    lobe_rows: wp.array2d(dtype=wp.float32),
    layer_rows: wp.array2d(dtype=wp.float32),
    seed: int,
    emitter_samples: int,
    bsdf_samples: int,
    proposals: EmitterProposals,
):
    r = start + wp.tid()
    i = first + r
    rng = wp.rand_init(seed + 15013, i)
    sampler = bsdf_sampler(read_lobes(lobe_rows, i), frame_of(pixels, i), coat_of(layer_rows, pixels, i))
    shift_x = wp.randf(rng)
    shift_y = wp.randf(rng)
    shift_z = wp.randf(rng)
    bary = hits.barycentric[i]
    for j in range(emitter_samples):
        k = r * emitter_samples + j
        s = sample_emitter(
            world.emitters, world.geometry, hits.position[i],
            shifted(shift_x, j, _R3_X), shifted(shift_y, j, _R3_Y), shifted(shift_z, j, _R3_Z),
        )  # fmt: skip
        weight = float(0.0)
        t_max = float(-1.0)
        if s.density > 0.0 and faces(sampler, s.direction):
            chance = float(emitter_samples) * s.density
            weight = 1.0 / (chance + float(bsdf_samples) * bsdf_density(sampler, s.direction))
            t_max = s.distance * REACH
            proposals.rays.direction[k] = s.direction
            proposals.rays.origin[k] = shadow_origin(
                world.geometry, hits.face[i], bary[0], bary[1], hits.position[i],
                pixels.geometric[i], pixels.smooth[i], hits.side[i], s.direction,
            )  # fmt: skip
        proposals.rays.t_max[k] = t_max
        proposals.weight[k] = weight
        proposals.face[k] = s.face
        proposals.barycentric[k] = s.barycentric


@wp.kernel(enable_backward=False)
def _store_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    emitter_samples: int,
    proposals: EmitterProposals,
    occluded: wp.array(dtype=wp.bool),
    samples: SampleArrays,
):
    r = start + wp.tid()
    i = first + r
    n = int(samples.count[i])
    for j in range(emitter_samples):
        k = r * emitter_samples + j
        if proposals.weight[k] > 0.0 and not occluded[k]:
            d = proposals.rays.direction[k]
            bary = proposals.barycentric[k]
            emission = emission_at(
                world.geometry, world.materials, world.tables, proposals.face[k], bary[0], bary[1], d
            )
            if wp.max(wp.max(emission[0], emission[1]), emission[2]) > 0.0:
                source = int(SOURCE_CONSTANT)
                if world.materials.lively == 1:
                    source = live_source(
                        world.geometry, world.materials, world.lights.count, EMISSION,
                        proposals.face[k], bary[0], bary[1],
                    )  # fmt: skip
                n = store_sample(samples, i, n, d, emission * proposals.weight[k], source)
    samples.count[i] = n


def store_emitter_samples(
    world: World,
    tracer: RayTracer,
    seen: list,
    first: int,
    count: int,
    emitter_samples: int,
    bsdf_samples: int,
    samples: SampleArrays,
    device: str,
) -> None:
    """Add the samples of glowing surfaces to those of `count` pixels from `first` on.

    `seen` are the arguments of draw.py's kernels that describe the pixels, `bsdf_samples` the samples that find the
    same surfaces by chance.
    """
    proposals = _Proposals.empty(count * emitter_samples, device)
    arrays = proposals.arrays()
    launch(_draw_kernel, count, [first, world, *seen, emitter_samples, bsdf_samples, arrays], device)
    occluded = wp.from_torch(shadowed(tracer, proposals.rays, proposals.weight))
    launch(_store_kernel, count, [first, world, emitter_samples, arrays, occluded, samples], device)
