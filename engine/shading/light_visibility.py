# SPDX-License-Identifier: GPL-3.0-or-later
"""Lights that cameras see, and lights that only diffuse or only glossy reflections know (Blender's ray visibility).

Samples of the latter are moved into samples of their own, which are shaded by a part of the lobes; nothing of this
happens in scenes whose lights are visible to both.
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from ..rays import RayArrays, Rays
from .lights import BOTH_LOBES, LightArrays, hit_light
from .samples import SampleArrays, Samples, store_sample


@wp.func
def _belongs(lobes: wp.array(dtype=wp.int32), source: int, wanted: int):
    result = bool(False)
    if source >= 0 and source < lobes.shape[0]:
        result = lobes[source] == wanted
    return result


@wp.kernel(enable_backward=False)
def _part_kernel(
    start: int, slot: int, lobes: wp.array(dtype=wp.int32), wanted: int, samples: SampleArrays, part: SampleArrays
):
    i = start + wp.tid()
    n = int(0)
    kept = int(0)
    for k in range(samples.count[i]):
        direction = samples.direction[i, k]
        radiance = samples.radiance[i, k]
        source = samples.source[i, k]
        if _belongs(lobes, source, wanted):
            if n < part.direction.shape[1]:
                n = store_sample(part, i, n, direction, radiance, source)
        else:
            kept = store_sample(samples, i, kept, direction, radiance, source)
    samples.count[i] = kept
    part.count[i] = n


@wp.kernel(enable_backward=False)
def _count_kernel(
    start: int,
    slot: int,
    lobes: wp.array(dtype=wp.int32),
    wanted: int,
    samples: SampleArrays,
    count: wp.array(dtype=wp.int32),
):
    i = start + wp.tid()
    n = int(0)
    for k in range(samples.count[i]):
        source = samples.source[i, k]
        if _belongs(lobes, source, wanted):
            n += 1
    count[i] = n


def take_part(samples: Samples, lights: LightArrays, wanted: int) -> Samples:
    """Remove the samples of the lights whose LightArrays.lobes are `wanted`, and return them."""
    pixels, device = len(samples.count), str(samples.count.device)
    count = torch.empty(pixels, dtype=torch.int32, device=device)
    launch(_count_kernel, pixels, [lights.lobes, wanted, samples.arrays(), wp.from_torch(count)], device)
    part = Samples.empty(pixels, max(int(count.max()), 1), device)
    launch(_part_kernel, pixels, [lights.lobes, wanted, samples.arrays(), part.arrays()], device)
    return part


def parts_of(lights: LightArrays) -> list[int]:
    """The values of LightArrays.lobes that occur, without lights that all lobes reflect."""
    return [] if lights.count == 0 else sorted(set(lights.lobes.numpy().tolist()) - {int(BOTH_LOBES)})


@wp.kernel(enable_backward=False)
def _seen_kernel(
    start: int,
    slot: int,
    lights: LightArrays,
    seen: wp.array(dtype=wp.int32),
    rays: RayArrays,
    out: wp.array2d(dtype=wp.float32),
):
    i = start + wp.tid()
    for j in range(seen.shape[0]):
        light = hit_light(lights, seen[j], rays.origin[i], rays.direction[i])
        radiance = float(0.0)
        if light.distance > 0.0 and light.distance <= rays.t_max[i]:
            radiance = light.radiance
        out[i, j] = radiance


def seen_lights(lights: LightArrays, seen: list[int], rays: Rays) -> torch.Tensor:
    """Radiance for power 1 [N, S] of the lights with the numbers `seen` [S] along rays; lights hide nothing."""
    device = str(rays.t_max.device)
    out = torch.empty((len(rays.t_max), len(seen)), dtype=torch.float32, device=device)
    numbers = wp.array(seen, dtype=wp.int32, device=device)
    launch(_seen_kernel, len(out), [lights, numbers, rays.arrays(), wp.from_torch(out)], device)
    return out
