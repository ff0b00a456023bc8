# SPDX-License-Identifier: GPL-3.0-or-later
"""The visibility pass: draws light samples for every pixel, traces their rays and stores what arrives.

Samples are proposed (draw.py), their rays traced in batches, and those that bring light stored. BSDF rays that meet a
surface bring the light that it reflects (indirect.py). The stored samples stay valid while geometry, lights and view
stand still, whatever happens to materials, powers and the environment's radiance (unless that is said to be fixed):
densities are those of the moment of gathering, which costs noise as the scene moves away from it but no bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..ops.launch import launch
from ..rays import HitArrays, RayHits, RayTracer
from ..transparency import shadowed_and_tinted
from .draw import Hits, ProposalArrays, Proposals, draw_bsdf_kernel, draw_direct_kernel, light_tries
from .emitter_samples import store_emitter_samples
from .emitters import emission_at, emitter_density
from .environment import density_at, equirectangular_uv, lookup_uv
from .indirect import reflected_light
from .lights import FAR, LightArrays, hit_light
from .live_texels import live_source
from .paths import World
from .samples import SOURCE_CONSTANT, SOURCE_ENVIRONMENT, SampleArrays, Samples, store_sample
from .secondary import BASE_COLOR, EMISSION
from .shade import PixelFrames
from .tint import tint_direct

# Rays of direct samples and BSDF samples that are in flight at a time. A ray takes about 70 bytes, and 250 more where
# it meets a surface whose reflected light is wanted: at most 170 MB, and less than half of it in most scenes.
RAYS_AT_ONCE = 1 << 19


@dataclass(frozen=True)
class SampleCounts:
    """Samples a pixel: for each light with a size, for the environment, by the BSDF; reflections of indirect light.

    Reflections beyond `bounces` come from the world's radiance cache, where it has one. Where surfaces glow all of them
    together get `emitter` samples.
    """

    light: int = 4
    environment: int = 4
    bsdf: int = 8
    # 0: direct light only. The cache is too coarse for metal in narrow places: what it tells is asked for late.
    bounces: int = 3
    clamp: float = 20.0  # largest radiance that an indirect sample may carry
    emitter: int = 4


@wp.func
def _store_environment(
    samples: SampleArrays, i: int, n: int, direction: wp.vec3, weight: float, uv: wp.vec2, world: World
):
    value = wp.vec3(weight, uv[0], uv[1])
    source = int(SOURCE_ENVIRONMENT)
    if world.environment.fixed == 1:
        value = weight * lookup_uv(world.environment.image, uv[0], uv[1])
        source = int(SOURCE_CONSTANT)
    return store_sample(samples, i, n, direction, value, source)


@wp.kernel(enable_backward=False)
def _store_direct_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    each: int,
    light_samples: int,
    environment_samples: int,
    proposals: ProposalArrays,
    occluded: wp.array(dtype=wp.bool),
    samples: SampleArrays,
):
    """Samples of lights and environment whose rays are free, in the order of draw_direct_kernel."""
    r = start + wp.tid()
    i = first + r
    k = int(r * each)
    n = int(0)
    for l in range(world.lights.count):
        for _ in range(light_tries(world.lights, l, light_samples)):
            w = proposals.value[k]
            if w > 0.0 and not occluded[k]:
                n = store_sample(samples, i, n, proposals.rays.direction[k], wp.vec3(w, w, w), l)
            k += 1
    for _ in range(environment_samples):
        if proposals.value[k] > 0.0 and not occluded[k]:
            d = proposals.rays.direction[k]
            n = _store_environment(samples, i, n, d, proposals.value[k], proposals.uv[k], world)
        k += 1
    samples.count[i] = n


@wp.func
def _live_source(world: World, which: int, met: HitArrays, k: int):
    bary = met.barycentric[k]
    return live_source(world.geometry, world.materials, world.lights.count, which, met.face[k], bary[0], bary[1])


@wp.kernel(enable_backward=False)
def _store_bsdf_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    position: wp.array(dtype=wp.vec3),
    light_samples: int,
    environment_samples: int,
    bsdf_samples: int,
    emitter_samples: int,
    clamp: float,
    proposals: ProposalArrays,
    met: HitArrays,
    reflected: wp.array(dtype=wp.vec3),
    samples: SampleArrays,
):
    """What BSDF rays find: lights on their way, then the environment or the light that a surface reflects (`reflected`
    is empty where only direct light is wanted)."""
    r = start + wp.tid()
    i = first + r
    n = int(samples.count[i])
    for j in range(bsdf_samples):
        k = r * bsdf_samples + j
        density = proposals.value[k]
        if density > 0.0:
            d = proposals.rays.direction[k]
            free = float(FAR)
            if met.face[k] >= 0:
                free = met.distance[k]
            for l in range(world.lights.count):
                light = hit_light(world.lights, l, position[i], d)
                if light.distance > 0.0 and light.radiance > 0.0:
                    reached = light.distance <= free  # a sun is as far as nothing
                    if reached or world.lights.shadow[l] == 0:
                        weight = light.radiance / (density + float(light_samples) * light.density)
                        n = store_sample(samples, i, n, d, wp.vec3(weight, weight, weight), l)
            if met.face[k] < 0:
                uv = equirectangular_uv(world.environment.rotation * d)
                other = float(environment_samples) * density_at(world.environment, uv)
                n = _store_environment(samples, i, n, d, 1.0 / (density + other), uv, world)
            else:
                radiance = wp.vec3(0.0, 0.0, 0.0)
                source = int(SOURCE_CONSTANT)
                if reflected.shape[0] > 0:
                    most = wp.max(wp.max(reflected[k][0], reflected[k][1]), reflected[k][2])
                    radiance = reflected[k] * (wp.min(1.0, clamp / wp.max(most, 1.0e-20)) / density)
                    if world.materials.lively == 1:
                        source = _live_source(world, BASE_COLOR, met, k)
                if world.materials.glowing == 1:
                    face = met.face[k]
                    bary = met.barycentric[k]
                    other = float(emitter_samples) * emitter_density(world.emitters, world.geometry, face, free, d)
                    emission = emission_at(world.geometry, world.materials, world.tables, face, bary[0], bary[1], d)
                    emission = emission / (density + other)
                    if world.materials.lively == 1:
                        if wp.max(wp.max(emission[0], emission[1]), emission[2]) > 0.0:
                            n = store_sample(samples, i, n, d, emission, _live_source(world, EMISSION, met, k))
                    else:
                        radiance += emission
                if wp.max(wp.max(radiance[0], radiance[1]), radiance[2]) > 0.0:
                    n = store_sample(samples, i, n, d, radiance, source)
    samples.count[i] = n


def _lights_with_size(lights: LightArrays) -> int:
    return int((lights.extent.numpy() > 0).sum()) if lights.count else 0


def _direct_samples(lights: LightArrays, counts: SampleCounts) -> int:
    sized = _lights_with_size(lights)
    return (lights.count - sized) + sized * counts.light + counts.environment


def capacity(lights: LightArrays, counts: SampleCounts) -> int:
    """Most samples that one pixel can store."""
    by_bsdf = 1 + _lights_with_size(lights) + int(counts.emitter > 0)
    return _direct_samples(lights, counts) + counts.emitter + counts.bsdf * by_bsdf


def gather(
    world: World,
    tracer: RayTracer,
    hits: Hits,
    frames: PixelFrames,
    normal: torch.Tensor,
    lobes: torch.Tensor,
    layers: torch.Tensor,
    counts: SampleCounts,
    seed: int,
    into: Samples,
) -> None:
    """Fill `into` with light samples for the pixels of a view. Deterministic for a seed (on CUDA too).

    `layers` are rows of layers.py for all pixels or for none.
    """
    device, pixels = str(lobes.device), len(lobes)
    seed &= 0x7FFFFFFF
    direct = _direct_samples(world.lights, counts)
    at_once = max(1, min(pixels, RAYS_AT_ONCE // max(1, direct + counts.emitter + counts.bsdf)))
    by_light, by_bsdf = Proposals.empty(at_once * direct, device), Proposals.empty(at_once * counts.bsdf, device)
    seen = [hits, frames.arrays(normal), wp.from_torch(lobes.detach()), wp.from_torch(layers.detach()), seed]
    samples = into.arrays()
    for first in range(0, pixels, at_once):
        count = min(at_once, pixels - first)

        shadow = by_light.first(count * direct)
        drawn = [direct, counts.light, counts.environment]
        launch(draw_direct_kernel, count, [first, world, *seen, *drawn, counts.bsdf, shadow.arrays()], device)
        blocked, tint = shadowed_and_tinted(tracer, shadow.rays, shadow.value)
        occluded = wp.from_torch(blocked)
        launch(_store_direct_kernel, count, [first, world, *drawn, shadow.arrays(), occluded, samples], device)
        tint_direct(world, drawn, first, shadow, occluded, tint, samples)

        if counts.emitter > 0:
            store_emitter_samples(world, tracer, seen, first, count, counts.emitter, counts.bsdf, samples, device)

        onward = by_bsdf.first(count * counts.bsdf)
        launch(draw_bsdf_kernel, count, [first, world, *seen, counts.bsdf, onward.arrays()], device)
        met = tracer.intersect(onward.rays)
        reflected = _reflected(world, tracer, met, onward, counts, seed, first * counts.bsdf)
        inputs = [first, world, hits.position, counts.light, counts.environment, counts.bsdf, counts.emitter]
        inputs += [counts.clamp, onward.arrays(), met.arrays(), wp.from_torch(reflected, dtype=wp.vec3), samples]
        launch(_store_bsdf_kernel, count, inputs, device)


def _reflected(
    world: World,
    tracer: RayTracer,
    met: RayHits,
    onward: Proposals,
    counts: SampleCounts,
    seed: int,
    stream: int,
) -> torch.Tensor:
    """Light reflected against each BSDF ray [N, 3], not set where it met nothing; [0, 3] for direct light only."""
    if counts.bounces == 0:
        return torch.empty((0, 3), device=met.face.device)
    lit = torch.nonzero(met.face >= 0)[:, 0]
    radiance = reflected_light(
        world,
        tracer,
        met.face[lit],
        met.barycentric[lit],
        onward.rays.direction[lit],
        counts.bounces,
        seed,
        lit + stream,
    )
    out = torch.empty((len(met.face), 3), device=met.face.device)
    out[lit] = radiance
    return out
