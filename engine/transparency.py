# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces that let light through: alpha and transparent shaders as in Cycles, glass more simply, what rays pass over.

A Principled BSDF of alpha a is a mixture of itself, a, and of nothing at all, 1 - a. A camera ray is thus shaded at
each surface on its way, with what the surfaces before it let pass as weight; a shadow ray is weakened by each; rays
that carry indirect light pass a surface or meet it at random. Scenes without such surfaces keep their plain tracer.

Glass reflects as any dielectric does. What it does not reflect goes on: bent by Snell's law where the camera looks
through it, straight on where light comes through it. Cycles finds that light as caustics, which have about its mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .rays import RayHits, Rays, RayTracer
from .scene import Material

# What a ray has left when following it further is of no use: less than an 8-bit picture resolves.
LITTLE = 1e-4
# Kinds of rays, rows of Geometry.unseen
CAMERA, SHADOW, INDIRECT = range(3)
_ROUNDS = 256  # bounds what a ray passes over without meeting it


def is_transparent(material: Material) -> bool:
    """Whether any of the material may let light through."""
    sockets = (material.alpha, 1.0), (material.transmission, 0.0)
    return any(socket.texture is not None or bool(socket.value[0] != neutral) for socket, neutral in sockets)


@dataclass
class Glass:
    """Glass at points of one material."""

    share: torch.Tensor  # [n] of the surface that is glass
    color: torch.Tensor  # [n, 3] what it lets pass of the light that it does not reflect
    ior: torch.Tensor  # [n]
    roughness: torch.Tensor  # [n]


@dataclass
class Openness:
    """What lets light through at points of one material."""

    alpha: torch.Tensor  # [n]
    tint: torch.Tensor  # [n, 3] of what passes where the surface is not
    glass: Glass | None = None


@dataclass
class Passing:
    """What becomes of rays at the points that they meet."""

    own: torch.Tensor  # [N] share of the surface's own radiance
    through: torch.Tensor  # [N, 3] share of what lies behind
    direction: torch.Tensor  # [N, 3] in which they go on
    counted: torch.Tensor  # [N] bool; False where they pass over the surface as if it were not there
    bent: torch.Tensor  # [N] bool, whether they have gone through glass


@dataclass
class Transparency:
    """Which triangles let light through, and how much of it."""

    material: torch.Tensor  # [T] int64, material row of each triangle
    rows: list[int]  # those that are transparent
    # of a material row at points of triangles [n] int64 with corner weights [n, 3]
    lookup: Callable[[int, torch.Tensor, torch.Tensor], Openness]
    # unit normals [n, 3] there: smooth and geometric
    normals: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    epsilon: float  # metres by which a ray goes on behind a surface
    most: int  # transparent surfaces that a ray may cross
    unseen: torch.Tensor | None = None  # [3, T], see Geometry.unseen
    tints: bool = False  # whether what passes may take colour
    caustics: bool = True  # whether light passes glass

    def passing(self, kind: int, hits: RayHits, direction: torch.Tensor) -> Passing:
        """What rays of a kind in unit directions [N, 3] do where all have met something."""
        face, barycentric = hits.face.long(), hits.barycentric
        material = self.material[face]
        own = torch.ones(len(face), device=face.device)
        bent = torch.zeros(len(face), dtype=torch.bool, device=face.device)
        found = Passing(own, torch.zeros_like(direction), direction.clone(), ~bent, bent)
        for row in self.rows:
            here = torch.nonzero(material == row)[:, 0]
            if len(here) == 0:
                continue
            weights = torch.cat([barycentric[here], 1.0 - barycentric[here].sum(1, keepdim=True)], dim=1).contiguous()
            opening = self.lookup(row, face[here], weights)
            own[here] = opening.alpha
            found.through[here] = (1.0 - opening.alpha)[:, None] * opening.tint
            if opening.glass is not None and (kind == CAMERA or self.caustics):
                self._pass_glass(kind, here, opening, self.normals(face[here], weights), found)
        if self.unseen is not None:
            over = self.unseen[kind][face]
            own[over], found.through[over], found.direction[over] = 0.0, 1.0, direction[over]
            found.counted, found.bent = ~over, bent & ~over
        return found

    def _pass_glass(
        self, kind: int, here: torch.Tensor, opening: Openness, normals: tuple[torch.Tensor, ...], found: Passing
    ) -> None:
        glass = opening.glass
        assert glass is not None
        smooth, geometric = normals
        direction, color = found.direction[here], glass.color
        share = opening.alpha * glass.share
        if kind == CAMERA:
            inside = (direction * geometric).sum(1) > 0.0
            facet = _facets(smooth, glass.roughness, direction)
            onward, reflected, total = refracted(direction, facet, inside, glass.ior)
            # where all is reflected the ray goes on as in a mirror, without colour
            found.own[here] *= 1.0 - glass.share * total
            color = torch.where(total[:, None], 1.0, color)
            reflected = torch.where(total, 0.0, reflected)
            bends = share > 1.0 - opening.alpha
            found.direction[here] = torch.where(bends[:, None], onward, direction)
            found.bent[here] = bends
        else:
            reflected = fresnel((direction * smooth).sum(1).abs(), glass.ior)
        found.through[here] += (share * (1.0 - reflected))[:, None] * color


def _facets(normal: torch.Tensor, roughness: torch.Tensor, direction: torch.Tensor) -> torch.Tensor:
    """Normals [N, 3] of GGX facets that rays in directions [N, 3] meet, by a hash of these."""
    if not bool((roughness > 0.0).any()):
        return normal
    salt = torch.zeros(len(normal), dtype=torch.int64, device=normal.device)
    u, around = _hash(direction, salt + 1001), 2.0 * torch.pi * _hash(direction, salt + 2003)
    alpha2 = roughness**4
    slope = (alpha2 * u / (1.0 - u).clamp(min=1e-6)).sqrt()  # tangent of the facet's angle to the normal
    helper = torch.eye(3, device=normal.device)[(normal[:, 0].abs() > 0.8).long()]
    x = torch.nn.functional.normalize(torch.linalg.cross(normal, helper), dim=1)
    y = torch.linalg.cross(normal, x)
    leaning = x * (slope * around.cos())[:, None] + y * (slope * around.sin())[:, None]
    return torch.nn.functional.normalize(normal + leaning, dim=1)


def fresnel(cosine: torch.Tensor, eta: torch.Tensor) -> torch.Tensor:
    """Unpolarised reflectance [N] of a dielectric at `cosine` [N] to the normal; `eta` [N] is the index of refraction
    beyond over that on this side; 1 where all is reflected."""
    beyond = 1.0 - (1.0 - cosine * cosine) / (eta * eta)
    other = beyond.clamp(min=0.0).sqrt()
    across = (cosine - eta * other) / (cosine + eta * other).clamp(min=1e-12)
    along = (eta * cosine - other) / (eta * cosine + other).clamp(min=1e-12)
    return torch.where(beyond > 0.0, 0.5 * (across**2 + along**2), 1.0)


def refracted(
    direction: torch.Tensor, normal: torch.Tensor, inside: torch.Tensor, ior: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Directions [N, 3] in which rays go on at a surface of glass, what it reflects [N], and where that is all [N]
    bool: there they go on as in a mirror. `inside`: rays that leave the glass."""
    normal = normal * torch.where(inside, -1.0, 1.0)[:, None]
    cosine = -(direction * normal).sum(1)
    cosine = cosine.clamp(min=1e-4)  # smooth normals may look away where the surface does not
    eta = torch.where(inside, 1.0 / ior, ior)
    beyond = 1.0 - (1.0 - cosine * cosine) / (eta * eta)
    total = beyond <= 0.0
    bent = direction / eta[:, None] + (cosine / eta - beyond.clamp(min=0.0).sqrt())[:, None] * normal
    mirrored = direction + 2.0 * cosine[:, None] * normal
    onward = torch.nn.functional.normalize(torch.where(total[:, None], mirrored, bent), dim=1)
    return onward, fresnel(cosine, eta), total


@dataclass
class _Walk:
    """Rays on their way through surfaces."""

    number: torch.Tensor  # [N] int64, row of the ray in the batch that set out
    rays: Rays
    crossed: torch.Tensor  # [N] int64, surfaces so far

    def behind(self, kept: torch.Tensor, hits: RayHits, passing: Passing, of: torch.Tensor, epsilon: float) -> _Walk:
        """Rays `kept` of these, behind what they have met; `of` are their rows in `passing`."""
        step = hits.distance[kept]
        onward = passing.direction[of]
        origin = self.rays.origin[kept] + self.rays.direction[kept] * step[:, None] + onward * epsilon
        reach = self.rays.t_max[kept] - (step + epsilon)
        return _Walk(
            self.number[kept], Rays(origin, onward.contiguous(), reach), self.crossed[kept] + passing.counted[of]
        )


def _walk(rays: Rays) -> _Walk:
    number = torch.arange(len(rays.t_max), device=rays.t_max.device)
    return _Walk(number, rays, torch.zeros_like(number))


def _at(hits: RayHits, met: torch.Tensor) -> RayHits:
    return RayHits(hits.face[met], hits.barycentric[met], hits.distance[met])


class TransparentTracer:
    """A RayTracer whose rays pass transparent surfaces; what it meets itself is met by rays of indirect light."""

    def __init__(self, base: RayTracer, transparency: Transparency) -> None:
        self.base = base
        self.transparency = transparency

    def update(self, positions: torch.Tensor) -> None:
        """See RayTracer."""
        self.base.update(positions)

    def intersect(self, rays: Rays) -> RayHits:
        """See RayTracer. A surface is met as often as the share of the light that it does not let pass.

        Chance is a hash of the ray, so that results do not depend on how rays are batched.
        """
        hits = self.base.intersect(rays)
        walk, found = _walk(rays), hits
        for _ in range(_ROUNDS):
            met = torch.nonzero(found.face >= 0)[:, 0]
            passing = self.transparency.passing(INDIRECT, _at(found, met), walk.rays.direction[met])
            chance = _hash(walk.rays.direction[met], walk.crossed[met])
            passes = (chance < passing.through.mean(1)) & (walk.crossed[met] <= self.transparency.most)
            of = torch.nonzero(passes)[:, 0]
            if len(of) == 0:
                break
            passing.direction = walk.rays.direction[met]  # straight on, glass or not
            walk = walk.behind(met[of], found, passing, of, self.transparency.epsilon)
            found = self.base.intersect(walk.rays)
            hits.face[walk.number], hits.barycentric[walk.number] = found.face, found.barycentric
            # distances are measured from where the ray set out
            gone = rays.t_max[walk.number] - walk.rays.t_max
            hits.distance[walk.number] = found.distance + gone
        return hits

    def occluded(self, rays: Rays) -> torch.Tensor:
        """See RayTracer; at random as `intersect`."""
        return self.intersect(rays).face >= 0

    def transmitted(self, rays: Rays) -> torch.Tensor:
        """The share [N, 3] of each ray's light that the surfaces on its way let pass; 1 for rays of negative reach."""
        share = torch.ones_like(rays.direction)
        walk = _walk(rays)
        for _ in range(_ROUNDS):
            hits = self.base.intersect(walk.rays)
            met = torch.nonzero(hits.face >= 0)[:, 0]
            if len(met) == 0:
                break
            passing = self.transparency.passing(SHADOW, _at(hits, met), walk.rays.direction[met])
            number = walk.number[met]
            share[number] *= passing.through
            blocked = (walk.crossed[met] >= self.transparency.most) & passing.counted
            share[number[blocked]] = 0.0
            of = torch.nonzero(share[number].amax(1) > LITTLE)[:, 0]
            walk = walk.behind(met[of], hits, passing, of, self.transparency.epsilon)
        return share * (share > LITTLE)


def _hash(direction: torch.Tensor, salt: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) for each direction [N, 3] and salt [N]."""
    bits = direction.contiguous().view(torch.int32).long() & 0xFFFFFFFF
    mixed = bits[:, 0] * 73856093 ^ bits[:, 1] * 19349663 ^ bits[:, 2] * 83492791 ^ (salt + 1) * 2654435761
    for shift, factor in ((16, 0x45D9F3B), (15, 0x2C1B3C6D), (16, 1)):
        mixed = ((mixed ^ (mixed >> shift)) & 0xFFFFFFFF) * factor & 0xFFFFFFFF
    return mixed.float() / 2.0**32


def shadowed(tracer: RayTracer, rays: Rays, carried: torch.Tensor) -> torch.Tensor:
    """Whether each ray is blocked, [N] bool; what transparent surfaces take is taken from `carried` [N, 3], or from
    [N], which knows no tint."""
    if carried.dim() == 1:
        return shadowed_and_tinted(tracer, rays, carried)[0]
    if not isinstance(tracer, TransparentTracer):
        return tracer.occluded(rays)
    share = tracer.transmitted(rays)
    carried *= share
    return share.amax(1) <= 0.0


def shadowed_and_tinted(
    tracer: RayTracer, rays: Rays, carried: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`shadowed` of grey light `carried` [N], and the tint [N, 3] of mean 1 that it takes; None: nothing tints."""
    if not isinstance(tracer, TransparentTracer):
        return tracer.occluded(rays), None
    share = tracer.transmitted(rays)
    mean = share.mean(1)
    carried *= mean
    return mean <= 0.0, share / mean.clamp(min=1e-12)[:, None] if tracer.transparency.tints else None


@dataclass
class Sightlines:
    """What camera rays see one behind the other."""

    rays: Rays  # [N]
    met: RayHits
    cell: torch.Tensor  # [N] int64
    weight: torch.Tensor  # [N, 3] share of the cell
    bent: torch.Tensor  # [N] bool, whether it is seen through glass


def sightlines(tracer: TransparentTracer, rays: Rays, cells: torch.Tensor) -> Sightlines:
    """Follow camera rays, of the cells `cells` [N], through transparent surfaces until one is opaque."""
    transparency = tracer.transparency
    walk, left = _walk(rays), torch.ones_like(rays.direction)
    bent = torch.zeros(len(cells), dtype=torch.bool, device=cells.device)
    parts: list[Sightlines] = []
    for _ in range(_ROUNDS):
        hits = tracer.base.intersect(walk.rays)
        met = torch.nonzero(hits.face >= 0)[:, 0]
        passing = transparency.passing(CAMERA, _at(hits, met), walk.rays.direction[met])
        own = torch.ones(len(left), device=left.device)  # of the world, where nothing is met
        # as in Cycles the surface behind the last that may be crossed is black, and the world is not
        ends = walk.crossed[met] > transparency.most
        own[met] = passing.own * ~ends
        weight = left * own[:, None]
        shown = torch.nonzero(weight.amax(1) > LITTLE)[:, 0]
        line = Rays(*(part[shown] for part in (walk.rays.origin, walk.rays.direction, walk.rays.t_max)))
        parts.append(Sightlines(line, _at(hits, shown), cells[walk.number[shown]], weight[shown], bent[shown]))
        rest = left[met] * passing.through * ~ends[:, None]
        of = torch.nonzero(rest.amax(1) > LITTLE)[:, 0]
        if len(of) == 0:
            break
        bent = bent[met[of]] | passing.bent[of]
        walk, left = walk.behind(met[of], hits, passing, of, transparency.epsilon), rest[of]

    def joined(of: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(of).contiguous()

    lines = [part.rays for part in parts]
    mets = [part.met for part in parts]
    return Sightlines(
        Rays(*(joined([getattr(line, name) for line in lines]) for name in ("origin", "direction", "t_max"))),
        RayHits(*(joined([getattr(met, name) for met in mets]) for name in ("face", "barycentric", "distance"))),
        joined([part.cell for part in parts]),
        joined([part.weight for part in parts]),
        joined([part.bent for part in parts]),
    )
