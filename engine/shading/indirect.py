# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that surfaces reflect against rays: a small path tracer that takes all paths one reflection further at a time.

A reflection is a wave: every path looks up its surface and proposes a ray to one light, one to the environment and one
onward, the rays are traced in batches, and the paths that go on form the next wave. Nothing here is differentiated.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import warp as wp

from ..ops.launch import launch
from ..rays import RayArrays, Rays, RayTracer
from ..transparency import shadowed
from .bsdf import Lobes, Tables, lobes_of
from .coat import Layers, coat_lobe, layers_of, sheen_lobe
from .draw import REACH
from .environment import environment_density, lookup, sample_environment
from .lights import FAR, sample_light
from .paths import World, bsdf_density, bsdf_sampler, no_coat, sample_bsdf, shadow_origin
from .secondary import Surface, surface_at
from .shade import Frame, reflected

# Lobes narrower than this are widened where they are seen by indirect light only: what they would add is noise.
MIN_SECONDARY_ROUGHNESS = wp.constant(0.15)


@wp.struct
class PathArrays:
    """Paths that have just met a surface, see Paths."""

    target: wp.array(dtype=wp.int32)
    face: wp.array(dtype=wp.int32)
    barycentric: wp.array(dtype=wp.vec2)
    ray: wp.array(dtype=wp.vec3)
    throughput: wp.array(dtype=wp.vec3)


@dataclass
class Paths:
    """Owner of the arrays of M paths."""

    target: torch.Tensor  # [M] int32, row of the result
    face: torch.Tensor  # [M] int32
    barycentric: torch.Tensor  # [M, 2] see RayHits
    ray: torch.Tensor  # [M, 3] unit direction in which the path arrived
    throughput: torch.Tensor  # [M, 3] share of the radiance leaving here that reaches the path's beginning

    def arrays(self) -> PathArrays:
        """Views for kernels; valid while this object lives."""
        arrays = PathArrays()
        arrays.target = wp.from_torch(self.target)
        arrays.face = wp.from_torch(self.face)
        arrays.barycentric = wp.from_torch(self.barycentric, dtype=wp.vec2)
        arrays.ray = wp.from_torch(self.ray, dtype=wp.vec3)
        arrays.throughput = wp.from_torch(self.throughput, dtype=wp.vec3)
        return arrays


@wp.struct
class WaveArrays:
    """What M paths propose at their surfaces, see Wave."""

    shadow: RayArrays
    carried: wp.array(dtype=wp.vec3)
    onward: RayArrays
    density: wp.array(dtype=wp.float32)


@dataclass
class Wave:
    """Owner of the arrays of M paths."""

    shadow: Rays  # 2 M: to a light and to the environment
    carried: torch.Tensor  # [2 M, 3] radiance for the path's beginning if the shadow ray is free
    onward: Rays  # M
    density: torch.Tensor  # [M] of sampling the onward direction

    @classmethod
    def empty(cls, count: int, device: torch.device) -> Wave:
        """Room for `count` paths."""
        return cls(
            Rays.empty(2 * count, device),
            torch.empty((2 * count, 3), dtype=torch.float32, device=device),
            Rays.empty(count, device),
            torch.empty(count, dtype=torch.float32, device=device),
        )

    def arrays(self) -> WaveArrays:
        """Views for kernels; valid while this object lives."""
        arrays = WaveArrays()
        arrays.shadow = self.shadow.arrays()
        arrays.carried = wp.from_torch(self.carried, dtype=wp.vec3)
        arrays.onward = self.onward.arrays()
        arrays.density = wp.from_torch(self.density)
        return arrays


@wp.func
def _surface_of(world: World, paths: PathArrays, k: int):
    bary = paths.barycentric[k]
    return surface_at(world.geometry, world.materials, paths.face[k], bary[0], bary[1], paths.ray[k])


@wp.func
def _surface_lobes(s: Surface, view: wp.vec3, tables: Tables):
    nv = wp.clamp(wp.dot(s.normal, view), 1.0e-4, 1.0)
    roughness = wp.max(s.roughness, MIN_SECONDARY_ROUGHNESS)
    return lobes_of(s.base, roughness, s.metallic, s.ior, s.level, s.tint, 1.0, nv, tables)


@wp.func
def _surface_layers(s: Surface, view: wp.vec3, tables: Tables):
    layers = Layers()
    layers.below = wp.vec3(1.0, 1.0, 1.0)
    if s.layered == 1:
        sockets = s.layers
        sockets.coat_roughness = wp.max(sockets.coat_roughness, MIN_SECONDARY_ROUGHNESS)
        nv = wp.clamp(wp.dot(s.normal, view), 1.0e-4, 1.0)
        layers = layers_of(sockets, nv, nv, tables)
    return layers


@wp.func
def _reflected(s: Surface, lobes: Lobes, layers: Layers, frame: Frame, light: wp.vec3):
    """BSDF times cosine, layers included."""
    f = reflected(lobes, frame, light)
    if s.layered == 1:
        coat = layers.coat * coat_lobe(layers, s.normal, frame.view, light)
        sheen = sheen_lobe(layers.a, layers.b, s.normal, frame.view, light).value
        f = wp.cw_mul(f, layers.below) + layers.sheen * sheen + wp.vec3(coat, coat, coat)
    return f


@wp.func
def _surface_frame(s: Surface, view: wp.vec3):
    frame = Frame()
    frame.normal = s.normal
    frame.lifted = s.normal
    frame.smooth = s.normal
    frame.view = view
    frame.bump = 0.0
    return frame


@wp.func
def _propose(
    wave: WaveArrays,
    k: int,
    world: World,
    paths: PathArrays,
    path: int,
    s: Surface,
    lobes: Lobes,
    layers: Layers,
    frame: Frame,
    direction: wp.vec3,
    reach: float,
    light: wp.vec3,
):
    """Shadow ray k: `light` from `direction`, to be reflected along a path. No ray if its reach is negative."""
    f = _reflected(s, lobes, layers, frame, direction)
    carried = wp.cw_mul(wp.cw_mul(paths.throughput[path], f), light)
    wave.carried[k] = carried
    t_max = float(-1.0)
    if reach > 0.0 and wp.max(wp.max(carried[0], carried[1]), carried[2]) > 0.0:
        t_max = reach
        face = paths.face[path]
        bary = paths.barycentric[path]
        side = float(1.0)
        if wp.dot(s.normal, world.geometry.normals[3 * face]) < 0.0:
            side = -1.0
        wave.shadow.direction[k] = direction
        wave.shadow.origin[k] = shadow_origin(
            world.geometry, face, bary[0], bary[1], s.position, s.geometric, s.normal, side, direction
        )
    wave.shadow.t_max[k] = t_max


@wp.func
def _no_proposal(wave: WaveArrays, k: int):
    wave.carried[k] = wp.vec3(0.0, 0.0, 0.0)
    wave.shadow.t_max[k] = -1.0


@wp.kernel(enable_backward=False)
def _reflect_kernel(
    start: int,
    slot: int,
    world: World,
    paths: PathArrays,
    stream: wp.array(dtype=wp.int32),
    seed: int,
    bounce: int,
    wave: WaveArrays,
    radiance: wp.array(dtype=wp.vec3),
):
    """Emission of each path's surface, and what may arrive there from elsewhere."""
    k = start + wp.tid()
    rng = wp.rand_init(seed + 104729 * (bounce + 1), stream[paths.target[k]])
    s = _surface_of(world, paths, k)
    view = -paths.ray[k]
    layers = _surface_layers(s, view, world.tables)
    radiance[paths.target[k]] += wp.cw_mul(paths.throughput[k], wp.cw_mul(s.emission, layers.below))
    lobes = _surface_lobes(s, view, world.tables)
    frame = _surface_frame(s, view)
    sampler = bsdf_sampler(lobes, frame, no_coat())

    _no_proposal(wave, 2 * k)
    if world.lights.count > 0:
        l = wp.min(int(wp.randf(rng) * float(world.lights.count)), world.lights.count - 1)
        light = sample_light(world.lights, l, s.position, wp.randf(rng), wp.randf(rng))
        if light.radiance > 0.0 and wp.dot(s.normal, light.direction) > 0.0:
            weight = light.radiance * float(world.lights.count)
            if light.density > 0.0:
                weight = weight / light.density
            reach = light.distance * REACH
            if world.lights.shadow[l] == 0:
                reach = -1.0
            incident = world.light_color[l] * weight
            _propose(wave, 2 * k, world, paths, k, s, lobes, layers, frame, light.direction, reach, incident)

    _no_proposal(wave, 2 * k + 1)
    if world.environment.density.shape[0] > 1:
        sky = sample_environment(world.environment, wp.randf(rng), wp.randf(rng))
        if wp.dot(s.normal, sky.direction) > 0.0:
            weight = 1.0 / (sky.density + bsdf_density(sampler, sky.direction))
            incident = lookup(world.environment.image, world.environment.rotation, sky.direction) * weight
            _propose(wave, 2 * k + 1, world, paths, k, s, lobes, layers, frame, sky.direction, FAR, incident)

    d = sample_bsdf(sampler, wp.randf(rng), wp.randf(rng), wp.randf(rng))
    density = bsdf_density(sampler, d)
    t_max = float(-1.0)
    if wp.dot(d, s.geometric) > 0.0 and density > 0.0:
        throughput = wp.cw_mul(paths.throughput[k], _reflected(s, lobes, layers, frame, d)) / density
        paths.throughput[k] = throughput
        if wp.max(wp.max(throughput[0], throughput[1]), throughput[2]) > 0.0:
            t_max = FAR
    wave.onward.origin[k] = s.position + s.geometric * world.geometry.epsilon
    wave.onward.direction[k] = d
    wave.onward.t_max[k] = t_max
    wave.density[k] = density


@wp.kernel(enable_backward=False)
def _arrive_kernel(
    start: int,
    slot: int,
    world: World,
    paths: PathArrays,
    wave: WaveArrays,
    occluded: wp.array(dtype=wp.bool),
    met: wp.array(dtype=wp.bool),
    radiance: wp.array(dtype=wp.vec3),
):
    """What the free rays of a wave bring."""
    k = start + wp.tid()
    total = radiance[paths.target[k]]
    for j in range(2):
        if not occluded[2 * k + j]:
            total += wave.carried[2 * k + j]
    if wave.onward.t_max[k] > 0.0 and not met[k]:
        d = wave.onward.direction[k]
        density = wave.density[k]
        share = float(1.0)
        if world.environment.density.shape[0] > 1:
            share = density / (density + environment_density(world.environment, d))
        sky = lookup(world.environment.image, world.environment.rotation, d)
        total += wp.cw_mul(paths.throughput[k], sky) * share
    radiance[paths.target[k]] = total


@wp.kernel(enable_backward=False)
def _glow_kernel(start: int, slot: int, world: World, paths: PathArrays, radiance: wp.array(dtype=wp.vec3)):
    """Emission of the surfaces where paths end."""
    k = start + wp.tid()
    s = _surface_of(world, paths, k)
    layers = _surface_layers(s, -paths.ray[k], world.tables)
    radiance[paths.target[k]] += wp.cw_mul(paths.throughput[k], wp.cw_mul(s.emission, layers.below))


def reflected_light(
    world: World,
    tracer: RayTracer,
    face: torch.Tensor,
    barycentric: torch.Tensor,
    ray: torch.Tensor,
    bounces: int,
    seed: int,
    stream: torch.Tensor,
) -> torch.Tensor:
    """Radiance [M, 3] that leaves surface points against rays after at most `bounces` reflections (1: direct light).

    The points lie at `barycentric` [M, 2] (see RayHits) of the triangles `face` [M] int32 and are seen in the unit
    directions `ray` [M, 3]; point m draws from the stream `stream[m]` of random numbers.
    """
    device = str(face.device)
    radiance = torch.zeros((len(face), 3), dtype=torch.float32, device=face.device)
    out = wp.from_torch(radiance, dtype=wp.vec3)
    streams = wp.from_torch(stream.to(torch.int32))
    target = torch.arange(len(face), dtype=torch.int32, device=face.device)
    paths = Paths(target, face, barycentric, ray, torch.ones_like(radiance))
    for bounce in range(bounces):
        count = len(paths.face)
        if count == 0:
            return radiance
        wave = Wave.empty(count, face.device)
        inputs = [world, paths.arrays(), streams, seed, bounce, wave.arrays(), out]
        launch(_reflect_kernel, count, inputs, device)
        occluded = shadowed(tracer, wave.shadow, wave.carried)
        # Where a path ends only what glows can shine: without any there is no need to know what was met.
        ends = bounce + 1 == bounces and not world.materials.glowing
        hits = None if ends else tracer.intersect(wave.onward)
        met = tracer.occluded(wave.onward) if hits is None else hits.face >= 0
        inputs = [world, paths.arrays(), wave.arrays(), wp.from_torch(occluded), wp.from_torch(met), out]
        launch(_arrive_kernel, count, inputs, device)
        if hits is None:
            return radiance
        alive = torch.nonzero(met)[:, 0]
        paths = Paths(
            paths.target[alive],
            hits.face[alive],
            hits.barycentric[alive],
            wave.onward.direction[alive],
            paths.throughput[alive],
        )
    launch(_glow_kernel, len(paths.face), [world, paths.arrays(), out], device)
    return radiance
