# SPDX-License-Identifier: GPL-3.0-or-later
"""Light samples of a view: what the gather pass stores and the shading kernel reads.

Sample k of pixel p says: from direction ``direction[p, k]`` arrives ``radiance[p, k]`` times the radiance of
``source[p, k]``, divided by the sampling density, with visibility and multiple-importance weight included. Only samples
that carry light are stored, the first ``count[p]`` of a pixel.

A sample of the environment holds (factor, u, v) instead, with the coordinates of its lookup: working these out from the
direction would cost more than all the rest of the shading.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

# Sources other than the index of a light, whose colour multiplies the sample.
SOURCE_CONSTANT = wp.constant(-1)  # radiance is final: reflected by another surface, or of a fixed environment
SOURCE_ENVIRONMENT = wp.constant(-2)  # radiance is (factor, u, v) of the environment's image


@wp.struct
class SampleArrays:
    """The stored samples as kernels see them: [P, K], count [P]."""

    direction: wp.array2d(dtype=wp.vec3)
    radiance: wp.array2d(dtype=wp.vec3)
    source: wp.array2d(dtype=wp.int32)
    count: wp.array(dtype=wp.int32)


@wp.func
def store_sample(samples: SampleArrays, i: int, n: int, direction: wp.vec3, radiance: wp.vec3, source: int):
    """Sample n of pixel i; returns the number of the next one."""
    samples.direction[i, n] = direction
    samples.radiance[i, n] = radiance
    samples.source[i, n] = source
    return n + 1


@dataclass
class Samples:
    """Owner of the arrays of one view (28 bytes a sample)."""

    direction: torch.Tensor  # [P, K, 3] float32, unit, world space, towards the light
    radiance: torch.Tensor  # [P, K, 3] float32
    source: torch.Tensor  # [P, K] int32
    count: torch.Tensor  # [P] int32

    @classmethod
    def empty(cls, pixels: int, capacity: int, device: str) -> Samples:
        """Room for `capacity` samples a pixel."""
        return cls(
            torch.empty((pixels, capacity, 3), dtype=torch.float32, device=device),
            torch.empty((pixels, capacity, 3), dtype=torch.float32, device=device),
            torch.empty((pixels, capacity), dtype=torch.int32, device=device),
            torch.zeros(pixels, dtype=torch.int32, device=device),
        )

    def arrays(self) -> SampleArrays:
        """Views for kernels; valid while this object lives."""
        arrays = SampleArrays()
        arrays.direction = wp.from_torch(self.direction, dtype=wp.vec3)
        arrays.radiance = wp.from_torch(self.radiance, dtype=wp.vec3)
        arrays.source = wp.from_torch(self.source)
        arrays.count = wp.from_torch(self.count)
        return arrays
