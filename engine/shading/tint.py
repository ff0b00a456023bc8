# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that has taken colour from what it passed on its way to a surface."""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from .draw import ProposalArrays, Proposals, light_tries
from .paths import World
from .samples import SampleArrays


@wp.kernel(enable_backward=False)
def _tint_direct_kernel(
    start: int,
    slot: int,
    first: int,
    world: World,
    each: int,
    light_samples: int,
    environment_samples: int,
    proposals: ProposalArrays,
    occluded: wp.array(dtype=wp.bool),
    tint: wp.array(dtype=wp.vec3),
    samples: SampleArrays,
):
    r = start + wp.tid()
    i = first + r
    k = int(r * each)
    n = int(0)
    for l in range(world.lights.count):
        for _ in range(light_tries(world.lights, l, light_samples)):
            if proposals.value[k] > 0.0 and not occluded[k]:
                samples.radiance[i, n] = wp.cw_mul(samples.radiance[i, n], tint[k])
                n += 1
            k += 1
    # an environment that is being fitted is looked up later: there is no room for a colour
    if world.environment.fixed == 1:
        for _ in range(environment_samples):
            if proposals.value[k] > 0.0 and not occluded[k]:
                samples.radiance[i, n] = wp.cw_mul(samples.radiance[i, n], tint[k])
                n += 1
            k += 1


def tint_direct(
    world: World,
    drawn: list[int],
    first: int,
    shadow: Proposals,
    occluded: wp.array,
    tint: torch.Tensor | None,
    samples: SampleArrays,
) -> None:
    """Give the samples that were stored from the proposals `shadow`, `drawn` as in gather.py, their `tint` [N, 3]."""
    if tint is None:
        return
    count = len(tint) // drawn[0]
    inputs = [first, world, *drawn, shadow.arrays(), occluded, wp.from_torch(tint.contiguous(), dtype=wp.vec3), samples]
    launch(_tint_direct_kernel, count, inputs, str(tint.device))
