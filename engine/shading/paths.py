# SPDX-License-Identifier: GPL-3.0-or-later
"""BSDF sampling and the light that other surfaces reflect: a small forward path tracer in Warp functions.

Nothing here is differentiated; its results are stored as light samples of constant radiance.
"""

from __future__ import annotations

import warp as wp

from ..geometry import GeometryArrays
from .bsdf import PI, Lobes, Tables, lobes_of, specular_reflectance
from .environment import EnvironmentArrays, environment_density, lookup, sample_environment
from .lights import FAR, LightArrays, perpendicular, sample_light
from .secondary import MaterialArrays, Surface, smooth_origin, surface_at
from .shade import Frame, reflected

# Lobes narrower than this are widened where they are seen by indirect light only: what they would add is noise.
MIN_SECONDARY_ROUGHNESS = wp.constant(0.15)


@wp.struct
class World:
    """Everything that rays can meet."""

    geometry: GeometryArrays
    materials: MaterialArrays
    lights: LightArrays
    light_color: wp.array(dtype=wp.vec3)
    environment: EnvironmentArrays
    tables: Tables


@wp.func
def specular_share(lobes: Lobes, nv: float):
    """Probability of sampling the specular lobe; bounded away from 0 and 1 as the material may change."""
    f = specular_reflectance(lobes, nv)
    specular = f[0] + f[1] + f[2]
    diffuse = lobes.diffuse[0] + lobes.diffuse[1] + lobes.diffuse[2]
    return wp.clamp(specular / wp.max(specular + diffuse, 1.0e-6), 0.2, 0.9)


@wp.func
def bsdf_density(lobes: Lobes, frame: Frame, light: wp.vec3):
    """Probability per steradian with which `sample_bsdf` draws the direction `light`."""
    nv = wp.max(wp.dot(frame.lifted, frame.view), 1.0e-4)
    half = wp.normalize(light + frame.view)
    nh = wp.dot(frame.lifted, half)
    cross = wp.cross(frame.lifted, half)
    d = wp.dot(cross, cross) + lobes.alpha2 * nh * nh
    gv = wp.sqrt(nv * nv + lobes.alpha2 * (1.0 - nv * nv))
    share = specular_share(lobes, nv)
    specular = lobes.alpha2 / (PI * d * d) / (2.0 * (nv + gv))
    if nh <= 0.0:
        specular = 0.0
    return share * specular + (1.0 - share) * wp.max(wp.dot(frame.normal, light), 0.0) / PI


@wp.func
def sample_bsdf(lobes: Lobes, frame: Frame, choice: float, u: float, v: float):
    """A direction drawn from the diffuse cosine lobe or from the visible normals of the GGX lobe.

    Visible normals by spherical caps: Dupuy and Benyoub, "Sampling Visible GGX Normals with Spherical Caps" (2023).
    """
    nv = wp.max(wp.dot(frame.lifted, frame.view), 1.0e-4)
    axis = frame.normal
    result = wp.vec3(0.0, 0.0, 0.0)
    phi = 2.0 * PI * u
    if choice < specular_share(lobes, nv):
        axis = frame.lifted
        x = perpendicular(axis)
        y = wp.cross(axis, x)
        alpha = wp.sqrt(lobes.alpha2)
        local = wp.normalize(wp.vec3(alpha * wp.dot(frame.view, x), alpha * wp.dot(frame.view, y), wp.max(nv, 1.0e-4)))
        z = (1.0 - v) * (1.0 + local[2]) - local[2]
        r = wp.sqrt(wp.clamp(1.0 - z * z, 0.0, 1.0))
        h = wp.vec3(r * wp.cos(phi), r * wp.sin(phi), z) + local
        h = wp.normalize(wp.vec3(alpha * h[0], alpha * h[1], wp.max(h[2], 1.0e-6)))
        half = x * h[0] + y * h[1] + axis * h[2]
        result = half * (2.0 * wp.dot(half, frame.view)) - frame.view
    else:
        x = perpendicular(axis)
        y = wp.cross(axis, x)
        r = wp.sqrt(v)
        result = x * (r * wp.cos(phi)) + y * (r * wp.sin(phi)) + axis * wp.sqrt(wp.max(1.0 - v, 0.0))
    return wp.normalize(result)


@wp.func
def visible(
    geometry: GeometryArrays,
    face: int,
    u: float,
    v: float,
    position: wp.vec3,
    geometric: wp.vec3,
    smooth: wp.vec3,
    side: float,
    direction: wp.vec3,
    distance: float,
):
    """Whether nothing lies between a surface point and a light, with Cycles' shadow-terminator offset (§6)."""
    gl = wp.dot(geometric, direction)
    nl = wp.dot(smooth, direction)
    c = geometry.terminator[face]
    amount = float(0.0)
    if c > 0.0:
        lift = 2.0 - (gl + nl) / c if nl < c else 1.0 - gl / c
        amount = wp.clamp(lift, 0.0, 1.0)
    origin = position
    if amount > 0.0:
        origin = wp.lerp(position, smooth_origin(geometry, face, u, v, position, side), amount)
    origin = origin + geometric * geometry.epsilon
    return not wp.mesh_query_ray_anyhit(geometry.mesh, origin, direction, distance * 0.9999)


@wp.func
def _surface_lobes(s: Surface, view: wp.vec3, tables: Tables):
    nv = wp.clamp(wp.dot(s.normal, view), 1.0e-4, 1.0)
    roughness = wp.max(s.roughness, MIN_SECONDARY_ROUGHNESS)
    return lobes_of(s.base, roughness, s.metallic, s.ior, s.level, s.tint, 1.0, nv, tables)


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
def reflected_light(
    world: World, first_face: int, first_u: float, first_v: float, first_ray: wp.vec3, bounces: int, rng: wp.uint32
):
    """Radiance that leaves a surface point against `first_ray` after at most `bounces` reflections (1: direct)."""
    total = wp.vec3(0.0, 0.0, 0.0)
    throughput = wp.vec3(1.0, 1.0, 1.0)
    face = int(first_face)
    hit_u = float(first_u)
    hit_v = float(first_v)
    ray = wp.vec3(first_ray[0], first_ray[1], first_ray[2])
    alive = int(1)
    state = rng
    importance = world.environment.density.shape[0] > 1
    for bounce in range(bounces + 1):
        if alive == 1:
            s = surface_at(world.geometry, world.materials, face, hit_u, hit_v, ray)
            total += wp.cw_mul(throughput, s.emission)
            if bounce == bounces:
                alive = 0
            else:
                view = -ray
                lobes = _surface_lobes(s, view, world.tables)
                frame = _surface_frame(s, view)
                side = float(1.0)
                if wp.dot(s.normal, world.geometry.normals[3 * face]) < 0.0:
                    side = -1.0
                if world.lights.count > 0:
                    l = wp.min(int(wp.randf(state) * float(world.lights.count)), world.lights.count - 1)
                    light = sample_light(world.lights, l, s.position, wp.randf(state), wp.randf(state))
                    if light.radiance > 0.0 and wp.dot(s.normal, light.direction) > 0.0:
                        weight = light.radiance * float(world.lights.count)
                        if light.density > 0.0:
                            weight = weight / light.density
                        if world.lights.shadow[l] == 0 or visible(
                            world.geometry, face, hit_u, hit_v, s.position, s.geometric, s.normal, side,
                            light.direction, light.distance,
                        ):  # fmt: skip
                            f = reflected(lobes, frame, light.direction)
                            total += wp.cw_mul(wp.cw_mul(throughput, f), world.light_color[l]) * weight
                if importance:
                    d = sample_environment(world.environment, wp.randf(state), wp.randf(state))
                    if wp.dot(s.normal, d) > 0.0:
                        density = environment_density(world.environment, d)
                        if visible(world.geometry, face, hit_u, hit_v, s.position, s.geometric, s.normal, side, d, FAR):
                            f = reflected(lobes, frame, d)
                            radiance = lookup(world.environment.image, world.environment.rotation, d)
                            weight = 1.0 / (density + bsdf_density(lobes, frame, d))
                            total += wp.cw_mul(wp.cw_mul(throughput, f), radiance) * weight
                d = sample_bsdf(lobes, frame, wp.randf(state), wp.randf(state), wp.randf(state))
                density = bsdf_density(lobes, frame, d)
                if wp.dot(d, s.geometric) <= 0.0 or density <= 0.0:
                    alive = 0
                else:
                    f = reflected(lobes, frame, d)
                    query = wp.mesh_query_ray(
                        world.geometry.mesh, s.position + s.geometric * world.geometry.epsilon, d, FAR
                    )
                    if query.result:
                        throughput = wp.cw_mul(throughput, f) / density
                        face = query.face
                        hit_u = query.u
                        hit_v = query.v
                        ray = d
                    else:
                        alive = 0
                        other = float(0.0)
                        if importance:
                            other = environment_density(world.environment, d)
                        radiance = lookup(world.environment.image, world.environment.rotation, d)
                        total += wp.cw_mul(wp.cw_mul(throughput, f), radiance) / (density + other)
    return total
