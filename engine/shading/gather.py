# SPDX-License-Identifier: GPL-3.0-or-later
"""The visibility pass: draws light samples for every pixel, traces their rays and stores what arrives.

Lights and environment are sampled directly and by the BSDF, combined by the balance heuristic (Veach, Guibas 1995).
BSDF rays that meet a surface bring the light that it reflects. The stored samples stay valid while geometry, lights
and view stand still, whatever happens to materials, powers and the environment's radiance: densities are those of the
moment of gathering, which costs noise as the scene moves away from it but no bias.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..ops.launch import launch
from .environment import environment_density, equirectangular_uv, sample_environment
from .lights import FAR, LightArrays, hit_light, sample_light
from .lobes import read_lobes
from .paths import World, bsdf_density, reflected_light, sample_bsdf, visible
from .samples import SOURCE_CONSTANT, SOURCE_ENVIRONMENT, SampleArrays, Samples
from .shade import PixelFrames, Pixels, frame_of


@dataclass(frozen=True)
class SampleCounts:
    """Samples a pixel: for each light with a size, for the environment, by the BSDF; reflections of indirect light."""

    light: int = 4
    environment: int = 4
    bsdf: int = 8
    bounces: int = 1  # 0: direct light only
    clamp: float = 20.0  # largest radiance that an indirect sample may carry


@wp.struct
class Hits:
    """Directly visible surface points, [P]."""

    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)  # weights of the triangle's first and second corner
    position: wp.array(dtype=wp.vec3)
    side: wp.array(dtype=wp.float32)  # -1 where the back is seen


@wp.func
def _store(samples: SampleArrays, i: int, n: int, direction: wp.vec3, radiance: wp.vec3, source: int):
    samples.direction[i, n] = direction
    samples.radiance[i, n] = radiance
    samples.source[i, n] = source
    return n + 1


@wp.func
def _store_environment(samples: SampleArrays, i: int, n: int, direction: wp.vec3, weight: float, world: World):
    uv = equirectangular_uv(world.environment.rotation * direction)
    return _store(samples, i, n, direction, wp.vec3(weight, uv[0], uv[1]), SOURCE_ENVIRONMENT)


@wp.func
def _shifted(shift: float, index: int, step: float):
    """Point `index` of an additive recurrence from `shift`, in [0, 1)."""
    x = shift + float(index) * step
    return x - wp.floor(x)


@wp.kernel(enable_backward=False)
def _gather_kernel(
    start: int,
    slot: int,
    world: World,
    hits: Hits,
    pixels: Pixels,
    lobe_rows: wp.array2d(dtype=wp.float32),
    seed: int,
    light_samples: int,
    environment_samples: int,
    bsdf_samples: int,
    bounces: int,
    clamp: float,
    samples: SampleArrays,
):
    i = start + wp.tid()
    rng = wp.rand_init(seed, i)
    lobes = read_lobes(lobe_rows, i)
    frame = frame_of(pixels, i)
    face = hits.face[i]
    position = hits.position[i]
    side = hits.side[i]
    geometric = pixels.geometric[i]
    bu = hits.barycentric[i][0]
    bv = hits.barycentric[i][1]
    # The R2 sequence (Roberts 2018), shifted at random for each pixel and strategy.
    r2x = 0.7548776662466927
    r2y = 0.5698402909980532
    n = int(0)
    by_bsdf = float(bsdf_samples)
    by_environment = float(environment_samples)

    for l in range(world.lights.count):
        tries = light_samples
        if world.lights.extent[l] <= 0.0:
            tries = 1
        shift_u = wp.randf(rng)
        shift_v = wp.randf(rng)
        for j in range(tries):
            light = sample_light(world.lights, l, position, _shifted(shift_u, j, r2x), _shifted(shift_v, j, r2y))
            if light.radiance > 0.0 and wp.dot(frame.normal, light.direction) > 0.0:
                weight = light.radiance
                if light.density > 0.0:
                    chance = float(tries) * light.density
                    weight = weight / (chance + by_bsdf * bsdf_density(lobes, frame, light.direction))
                if world.lights.shadow[l] == 0 or visible(
                    world.geometry, face, bu, bv, position, geometric, frame.smooth, side,
                    light.direction, light.distance,
                ):  # fmt: skip
                    n = _store(samples, i, n, light.direction, wp.vec3(weight, weight, weight), l)

    shift_u = wp.randf(rng)
    shift_v = wp.randf(rng)
    for j in range(environment_samples):
        d = sample_environment(world.environment, _shifted(shift_u, j, r2x), _shifted(shift_v, j, r2y))
        if wp.dot(frame.normal, d) > 0.0:  # noqa: SIM102 (a ray costs too much to cast it in a condition with `and`)
            if visible(world.geometry, face, bu, bv, position, geometric, frame.smooth, side, d, FAR):
                chance = by_environment * environment_density(world.environment, d)
                weight = 1.0 / (chance + by_bsdf * bsdf_density(lobes, frame, d))
                n = _store_environment(samples, i, n, d, weight, world)

    shift_u = wp.randf(rng)
    shift_v = wp.randf(rng)
    shift_w = wp.randf(rng)
    for j in range(bsdf_samples):
        choice = (float(j) + shift_w) / by_bsdf
        d = sample_bsdf(lobes, frame, choice, _shifted(shift_u, j, r2x), _shifted(shift_v, j, r2y))
        density = by_bsdf * bsdf_density(lobes, frame, d)
        if wp.dot(d, geometric) > 0.0 and density > 0.0:
            query = wp.mesh_query_ray(world.geometry.mesh, position + geometric * world.geometry.epsilon, d, FAR)
            free = float(FAR)
            if query.result:
                free = query.t
            for l in range(world.lights.count):
                light = hit_light(world.lights, l, position, d)
                if light.distance > 0.0 and light.radiance > 0.0:
                    reached = light.distance <= free  # a sun is as far as nothing
                    if reached or world.lights.shadow[l] == 0:
                        weight = light.radiance / (density + float(light_samples) * light.density)
                        n = _store(samples, i, n, d, wp.vec3(weight, weight, weight), l)
            if not query.result:
                weight = 1.0 / (density + by_environment * environment_density(world.environment, d))
                n = _store_environment(samples, i, n, d, weight, world)
            elif bounces > 0:
                state = wp.rand_init(seed + 7919 * (j + 1), i)
                radiance = reflected_light(world, query.face, query.u, query.v, d, bounces, state)
                most = wp.max(wp.max(radiance[0], radiance[1]), radiance[2])
                if most > 0.0:
                    radiance = radiance * wp.min(1.0, clamp / most)
                    n = _store(samples, i, n, d, radiance / density, SOURCE_CONSTANT)
    samples.count[i] = n


def capacity(lights: LightArrays, counts: SampleCounts) -> int:
    """Most samples that one pixel can store."""
    sized = int((lights.extent.numpy() > 0).sum()) if lights.count else 0
    direct = (lights.count - sized) + sized * counts.light + counts.environment
    return direct + counts.bsdf * (1 + sized)


def gather(
    world: World,
    hits: Hits,
    frames: PixelFrames,
    normal: torch.Tensor,
    lobes: torch.Tensor,
    counts: SampleCounts,
    seed: int,
    into: Samples,
) -> None:
    """Fill `into` with light samples for the pixels of a view. Deterministic for a seed."""
    inputs = [
        world,
        hits,
        frames.arrays(normal),
        wp.from_torch(lobes.detach()),
        seed & 0x7FFFFFFF,
        counts.light,
        counts.environment,
        counts.bsdf,
        counts.bounces,
        counts.clamp,
        into.arrays(),
    ]
    launch(_gather_kernel, len(lobes), inputs, str(lobes.device))
