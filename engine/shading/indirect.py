# SPDX-License-Identifier: GPL-3.0-or-later
"""Light that surfaces reflect against rays: a small path tracer that takes all paths one reflection further at a time.

A reflection is a wave: every path looks up its surface and proposes a ray to one light, one to the environment, one to
a surface that glows and one onward, the rays are traced in batches, and the paths that go on form the next wave. After
the last wave the radiance cache tells what the surfaces where paths have ended reflect. Nothing here is differentiated.
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from ..rays import RayHits, RayTracer
from ..transparency import shadowed
from .bsdf import Lobes, Tables, dielectric_of, f0_of, lobes_of, lookup2, lookup3
from .coat import Layers, coat_lobe, layers_of, sheen_lobe
from .draw import REACH
from .emitters import emission_at, emitter_density, sample_emitter
from .environment import environment_density, lookup, sample_environment
from .lights import FAR, GLOSSY_ONLY, estimates, pick, sample_light
from .paths import World, bsdf_density, bsdf_sampler, no_coat, sample_bsdf, shadow_origin
from .radiance_cache import leaf_of
from .secondary import Surface, surface_at
from .shade import Frame, reflected
from .wave import PathArrays, Paths, Wave, WaveArrays

# Lobes narrower than this are widened where they are seen by indirect light only: what they would add is noise.
MIN_SECONDARY_ROUGHNESS = wp.constant(0.15)


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
def _lobes_for(lobes: Lobes, which: int):
    """The lobes that reflect a light, see LightArrays.lobes."""
    part = lobes
    nothing = wp.vec3(0.0, 0.0, 0.0)
    if which % 2 == 1:  # DIFFUSE_ONLY, NO_LOBES
        part.constant = nothing
        part.schlick = nothing
        part.edge = nothing
        part.dielectric = nothing
    if which >= GLOSSY_ONLY:
        part.diffuse = nothing
    return part


@wp.func
def _layers_for(layers: Layers, which: int):
    part = layers
    if which % 2 == 1:  # DIFFUSE_ONLY, NO_LOBES
        part.coat = 0.0
    if which >= GLOSSY_ONLY:
        part.sheen = wp.vec3(0.0, 0.0, 0.0)
    return part


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
    if reach > 0.0 and wp.length_sq(carried) > 0.0:
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


@wp.struct
class Albedo:
    """Shares of even light that a surface reflects against a view direction."""

    diffuse: wp.vec3
    glossy: wp.vec3


@wp.func
def albedo_of(s: Surface, view: wp.vec3, tables: Tables):
    """Albedos of a surface, layers included.

    The energy tables know the lobe of a dielectric (docs/blender-image-formation.md §3.2); that of a metal has nearly
    the same angular term.
    """
    nv = wp.clamp(wp.dot(s.normal, view), 1.0e-4, 1.0)
    roughness = wp.max(s.roughness, MIN_SECONDARY_ROUGHNESS)
    lobes = _surface_lobes(s, view, tables)
    rise = lookup3(tables.s, roughness, nv, dielectric_of(s.ior, s.level).z)
    specular = lobes.constant + (lobes.schlick + lobes.dielectric) * rise + lobes.edge * (1.0 / 126.0)
    albedo = Albedo()
    albedo.diffuse = lobes.diffuse
    albedo.glossy = specular * lookup2(tables.e, roughness, nv)
    if s.layered == 1:
        layers = _surface_layers(s, view, tables)
        albedo.diffuse = wp.cw_mul(albedo.diffuse, layers.below) + layers.sheen
        albedo.glossy = wp.cw_mul(albedo.glossy, layers.below)
        if layers.coat > 0.0:
            f0 = f0_of(layers.ior)
            coat_roughness = wp.max(s.layers.coat_roughness, MIN_SECONDARY_ROUGHNESS)
            z = wp.sqrt((layers.ior - 1.0) / (layers.ior + 1.0))
            coat = f0 + (1.0 - f0) * lookup3(tables.s, coat_roughness, nv, z)
            coat = coat * layers.coat * lookup2(tables.e, coat_roughness, nv)
            albedo.glossy += wp.vec3(coat, coat, coat)
    return albedo


@wp.func
def arriving_emission(world: World, paths: PathArrays, k: int):
    """What the surface of a path emits against it, with the weight of having been found by the BSDF."""
    result = wp.vec3(0.0, 0.0, 0.0)
    density = paths.density[k]
    if world.materials.glowing == 1 and density > 0.0:
        face = paths.face[k]
        bary = paths.barycentric[k]
        ray = paths.ray[k]
        emission = emission_at(world.geometry, world.materials, world.tables, face, bary[0], bary[1], ray)
        other = emitter_density(world.emitters, world.geometry, face, paths.distance[k], ray)
        result = wp.cw_mul(paths.throughput[k], emission) * (density / (density + other))
    return result


@wp.kernel(enable_backward=False)
def _reflect_kernel(
    start: int,
    slot: int,
    world: World,
    paths: PathArrays,
    stream: wp.array(dtype=wp.int32),
    seed: int,
    bounce: int,
    white: int,
    wave: WaveArrays,
    radiance: wp.array(dtype=wp.vec3),
):
    """Emission of each path's surface, and what may arrive there from elsewhere. `white`: as if it were all matte."""
    k = start + wp.tid()
    rng = wp.rand_init(seed + 104729 * (bounce + 1), stream[paths.target[k]])
    s = _surface_of(world, paths, k)
    if white == 1:
        s.base = wp.vec3(1.0, 1.0, 1.0)
        s.metallic = 0.0
        s.level = 0.0
        s.layered = 0
    view = -paths.ray[k]
    layers = _surface_layers(s, view, world.tables)
    radiance[paths.target[k]] += arriving_emission(world, paths, k)
    lobes = _surface_lobes(s, view, world.tables)
    frame = _surface_frame(s, view)
    sampler = bsdf_sampler(lobes, frame, no_coat())

    first = wave.each * k
    _no_proposal(wave, first)
    if world.lights.count > 0:
        total = estimates(world.lights, world.light_color, s.position, s.normal)
        chosen = pick(world.lights, world.light_color, s.position, s.normal, total, wp.randf(rng))
        l = chosen.light
        light = sample_light(world.lights, l, s.position, wp.randf(rng), wp.randf(rng))
        if light.radiance > 0.0 and wp.dot(s.normal, light.direction) > 0.0:
            weight = light.radiance / chosen.chance
            if light.density > 0.0:
                weight = weight / light.density
            reach = light.distance * REACH
            if world.lights.shadow[l] == 0:
                reach = -1.0
            incident = world.light_color[l] * weight
            by = _lobes_for(lobes, world.lights.lobes[l])
            above = _layers_for(layers, world.lights.lobes[l])
            _propose(wave, first, world, paths, k, s, by, above, frame, light.direction, reach, incident)

    _no_proposal(wave, first + 1)
    if world.environment.density.shape[0] > 1:
        sky = sample_environment(world.environment, wp.randf(rng), wp.randf(rng))
        if wp.dot(s.normal, sky.direction) > 0.0:
            weight = 1.0 / (sky.density + bsdf_density(sampler, sky.direction))
            incident = lookup(world.environment.image, world.environment.rotation, sky.direction) * weight
            _propose(wave, first + 1, world, paths, k, s, lobes, layers, frame, sky.direction, FAR, incident)

    if world.emitters.count > 0:
        _no_proposal(wave, first + 2)
        glow = sample_emitter(world.emitters, world.geometry, s.position, wp.randf(rng), wp.randf(rng), wp.randf(rng))
        if glow.density > 0.0 and wp.dot(s.normal, glow.direction) > 0.0:
            weight = 1.0 / (glow.density + bsdf_density(sampler, glow.direction))
            at = glow.barycentric
            incident = weight * emission_at(
                world.geometry, world.materials, world.tables, glow.face, at[0], at[1], glow.direction
            )
            reach = glow.distance * REACH
            _propose(wave, first + 2, world, paths, k, s, lobes, layers, frame, glow.direction, reach, incident)

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
    for j in range(wave.each):
        if not occluded[wave.each * k + j]:
            total += wave.carried[wave.each * k + j]
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
def _end_kernel(start: int, slot: int, world: World, paths: PathArrays, cached: int, radiance: wp.array(dtype=wp.vec3)):
    """What the surfaces where paths end emit and, with `cached`, what they reflect according to the cache."""
    k = start + wp.tid()
    total = arriving_emission(world, paths, k)
    if cached == 1:
        s = _surface_of(world, paths, k)
        leaf = leaf_of(world.cache, s.position, s.normal)
        albedo = albedo_of(s, -paths.ray[k], world.tables)
        reflected_there = wp.cw_mul(albedo.diffuse, world.cache.diffuse[leaf])
        reflected_there += wp.cw_mul(albedo.glossy, world.cache.glossy[leaf])
        total += wp.cw_mul(paths.throughput[k], reflected_there)
    radiance[paths.target[k]] += total


def add_emission(world: World, paths: Paths, radiance: torch.Tensor) -> None:
    """Add to `radiance` what the surfaces emit that paths have met."""
    if world.materials.glowing:
        inputs = [world, paths.arrays(), 0, wp.from_torch(radiance, dtype=wp.vec3)]
        launch(_end_kernel, len(paths.face), inputs, str(radiance.device))


def trace_wave(
    world: World,
    tracer: RayTracer,
    paths: Paths,
    stream: torch.Tensor,
    seed: int,
    bounce: int,
    radiance: torch.Tensor,
    white: bool = False,
    met_only: bool = False,
) -> tuple[Wave, RayHits | None]:
    """Add to `radiance` what lights, environment and emitters send to the paths' surfaces and these reflect.

    The throughput of the paths becomes that of the rays onward. Returns the wave and what its rays onward met; None
    with `met_only`. `white`: as if all surfaces were white and matte.
    """
    count, device = len(paths.face), str(radiance.device)
    out = wp.from_torch(radiance, dtype=wp.vec3)
    wave = Wave.empty(count, world, radiance.device)
    inputs = [world, paths.arrays(), wp.from_torch(stream), seed, bounce, int(white), wave.arrays(), out]
    launch(_reflect_kernel, count, inputs, device)
    occluded = shadowed(tracer, wave.shadow, wave.carried)
    hits = None if met_only else tracer.intersect(wave.onward)
    met = tracer.occluded(wave.onward) if hits is None else hits.face >= 0
    inputs = [world, paths.arrays(), wave.arrays(), wp.from_torch(occluded), wp.from_torch(met), out]
    launch(_arrive_kernel, count, inputs, device)
    return wave, hits


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
    """Radiance [M, 3] that surface points reflect against rays: after at most `bounces` reflections (1: direct light),
    or any number where the world has a radiance cache. What the points themselves emit is not part of it.

    The points lie at `barycentric` [M, 2] (see RayHits) of the triangles `face` [M] int32 and are seen in the unit
    directions `ray` [M, 3]; point m draws from the stream `stream[m]` of random numbers.
    """
    radiance = torch.zeros((len(face), 3), dtype=torch.float32, device=face.device)
    stream = stream.to(torch.int32)
    paths = Paths.beginning(face, barycentric, ray)
    # Where paths end without a cache only what glows can shine: else there is no need to know what was met.
    dark_end = not world.materials.glowing and world.cache.count == 0
    for bounce in range(bounces):
        if len(paths.face) == 0:
            return radiance
        ends = bounce + 1 == bounces and dark_end
        wave, hits = trace_wave(world, tracer, paths, stream, seed, bounce, radiance, met_only=ends)
        if hits is None:
            return radiance
        paths = paths.onward(wave, hits, torch.nonzero(hits.face >= 0)[:, 0])
    inputs = [world, paths.arrays(), int(world.cache.count > 0), wp.from_torch(radiance, dtype=wp.vec3)]
    launch(_end_kernel, len(paths.face), inputs, str(radiance.device))
    return radiance
