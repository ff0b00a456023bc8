# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths of indirect light (indirect.py) that take their next reflection together, and the rays they propose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..rays import RayArrays, RayHits, Rays
from .paths import World


@wp.struct
class PathArrays:
    """Paths that have just met a surface, see Paths."""

    target: wp.array(dtype=wp.int32)
    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)
    ray: wp.array(dtype=wp.vec3)
    throughput: wp.array(dtype=wp.vec3)
    density: wp.array(dtype=wp.float32)
    distance: wp.array(dtype=wp.float32)


@dataclass
class Paths:
    """Owner of the arrays of M paths."""

    target: torch.Tensor  # [M] int32, row of the result
    face: torch.Tensor  # [M] int32
    barycentric: torch.Tensor  # [M, 2] see RayHits
    ray: torch.Tensor  # [M, 3] unit direction in which the path arrived
    throughput: torch.Tensor  # [M, 3] share of the radiance leaving here that reaches the path's beginning
    # [M] per steradian, of having drawn the ray; 0 where what the surface emits is counted elsewhere
    density: torch.Tensor
    distance: torch.Tensor  # [M] length of the ray

    @classmethod
    def beginning(cls, face: torch.Tensor, barycentric: torch.Tensor, ray: torch.Tensor) -> Paths:
        """Paths that begin at surface points, whose emission is left out."""
        count, device = len(face), face.device
        nothing = torch.zeros(count, dtype=torch.float32, device=device)
        target = torch.arange(count, dtype=torch.int32, device=device)
        throughput = torch.ones((count, 3), dtype=torch.float32, device=device)
        return cls(target, face, barycentric, ray, throughput, nothing, nothing)

    def onward(self, wave: Wave, hits: RayHits, alive: torch.Tensor) -> Paths:
        """The paths with the numbers `alive` where the rays of a wave met a surface."""
        return Paths(
            self.target[alive],
            hits.face[alive],
            hits.barycentric[alive],
            wave.onward.direction[alive],
            self.throughput[alive],
            wave.density[alive],
            hits.distance[alive],
        )

    def arrays(self) -> PathArrays:
        """Views for kernels; valid while this object lives."""
        arrays = PathArrays()
        arrays.target = wp.from_torch(self.target)
        arrays.face = wp.from_torch(self.face)
        arrays.barycentric = wp.from_torch(self.barycentric, dtype=wp.vec2)
        arrays.ray = wp.from_torch(self.ray, dtype=wp.vec3)
        arrays.throughput = wp.from_torch(self.throughput, dtype=wp.vec3)
        arrays.density = wp.from_torch(self.density)
        arrays.distance = wp.from_torch(self.distance)
        return arrays


@wp.struct
class WaveArrays:
    """What M paths propose at their surfaces, see Wave."""

    each: int
    shadow: RayArrays
    carried: wp.array(dtype=wp.vec3)
    onward: RayArrays
    density: wp.array(dtype=wp.float32)


@dataclass
class Wave:
    """Owner of the arrays of M paths."""

    each: int  # shadow rays of a path: to a light, to the environment and, where anything glows, to an emitter
    shadow: Rays  # each M
    carried: torch.Tensor  # [each M, 3] radiance for the path's beginning if the shadow ray is free
    onward: Rays  # M
    density: torch.Tensor  # [M] of sampling the onward direction

    @classmethod
    def empty(cls, count: int, world: World, device: torch.device) -> Wave:
        """Room for `count` paths."""
        each = 3 if world.emitters.count > 0 else 2
        return cls(
            each,
            Rays.empty(each * count, device),
            torch.empty((each * count, 3), dtype=torch.float32, device=device),
            Rays.empty(count, device),
            torch.empty(count, dtype=torch.float32, device=device),
        )

    def arrays(self) -> WaveArrays:
        """Views for kernels; valid while this object lives."""
        arrays = WaveArrays()
        arrays.each = self.each
        arrays.shadow = self.shadow.arrays()
        arrays.carried = wp.from_torch(self.carried, dtype=wp.vec3)
        arrays.onward = self.onward.arrays()
        arrays.density = wp.from_torch(self.density)
        return arrays
