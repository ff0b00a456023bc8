# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpha: surfaces that let light through, as Cycles' transparent BSDF does.

A Principled BSDF of alpha a is a mixture of itself, a, and of nothing at all, 1 - a. A camera ray is thus shaded at
each surface on its way, with what the surfaces before it let pass as weight; a shadow ray is weakened by each; rays
that carry indirect light pass a surface or meet it at random. Scenes without such surfaces keep their plain tracer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .rays import RayHits, Rays, RayTracer
from .scene import Material

# What a ray has left when following it further is of no use: less than an 8-bit picture resolves.
LITTLE = 1e-4


def is_transparent(material: Material) -> bool:
    """Whether any of the material may let light through."""
    return material.alpha.texture is not None or bool(material.alpha.value[0] < 1.0)


@dataclass
class Transparency:
    """Which triangles let light through, and how much of it."""

    material: torch.Tensor  # [T] int64, material row of each triangle
    rows: list[int]  # those that are transparent
    # alpha [n] of a material row at points of triangles [n] int64 with corner weights [n, 3]
    lookup: Callable[[int, torch.Tensor, torch.Tensor], torch.Tensor]
    epsilon: float  # metres by which a ray goes on behind a surface
    most: int  # transparent surfaces that a ray may cross; what is behind them is black

    def alpha(self, face: torch.Tensor, barycentric: torch.Tensor) -> torch.Tensor:
        """Alpha [N] at points of triangles `face` [N], `barycentric` [N, 2] (see RayHits), as the node looks it up."""
        material = self.material[face.long()]
        alpha = torch.ones(len(face), device=face.device)
        for row in self.rows:
            here = torch.nonzero(material == row)[:, 0]
            if len(here):
                weights = torch.cat([barycentric[here], 1.0 - barycentric[here].sum(1, keepdim=True)], dim=1)
                alpha[here] = self.lookup(row, face[here].long(), weights.contiguous())
        return alpha


@dataclass
class _Walk:
    """Rays on their way through surfaces."""

    number: torch.Tensor  # [N] int64, row of the ray in the batch that set out
    rays: Rays

    def met(self, hits: RayHits, epsilon: float, kept: torch.Tensor) -> _Walk:
        """Those of the rays that are `kept`, behind what they have met."""
        step = hits.distance[kept] + epsilon
        direction = self.rays.direction[kept]
        origin = self.rays.origin[kept] + direction * step[:, None]
        return _Walk(self.number[kept], Rays(origin, direction, self.rays.t_max[kept] - step))


def _walk(rays: Rays) -> _Walk:
    return _Walk(torch.arange(len(rays.t_max), device=rays.t_max.device), rays)


class TransparentTracer:
    """A RayTracer whose rays pass transparent surfaces."""

    def __init__(self, base: RayTracer, transparency: Transparency) -> None:
        self.base = base
        self.transparency = transparency

    def update(self, positions: torch.Tensor) -> None:
        """See RayTracer."""
        self.base.update(positions)

    def intersect(self, rays: Rays) -> RayHits:
        """See RayTracer. A surface of alpha a is met with probability a.

        Chance is a hash of the ray, so that results do not depend on how rays are batched.
        """
        hits = self.base.intersect(rays)
        walk, found = _walk(rays), hits
        for crossed in range(self.transparency.most + 1):
            met = torch.nonzero(found.face >= 0)[:, 0]
            alpha = self.transparency.alpha(found.face[met], found.barycentric[met])
            chance = _hash(walk.rays.direction[met], walk.number.new_full((len(met),), crossed))
            passed = met[chance >= alpha]
            if len(passed) == 0:
                return hits
            walk = walk.met(found, self.transparency.epsilon, passed)
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
        """The share [N] of each ray's light that the surfaces on its way let pass; 1 for rays of negative reach."""
        share = torch.ones_like(rays.t_max)
        walk = _walk(rays)
        for _ in range(self.transparency.most + 1):
            hits = self.base.intersect(walk.rays)
            met = torch.nonzero(hits.face >= 0)[:, 0]
            if len(met) == 0:
                return share
            share[walk.number[met]] *= 1.0 - self.transparency.alpha(hits.face[met], hits.barycentric[met])
            walk = walk.met(hits, self.transparency.epsilon, met[share[walk.number[met]] > LITTLE])
        share[walk.number] = 0.0  # behind more surfaces than a ray may cross
        return share * (share > LITTLE)


def _hash(direction: torch.Tensor, salt: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) for each direction [N, 3] and salt [N]."""
    bits = direction.contiguous().view(torch.int32).long() & 0xFFFFFFFF
    mixed = bits[:, 0] * 73856093 ^ bits[:, 1] * 19349663 ^ bits[:, 2] * 83492791 ^ (salt + 1) * 2654435761
    for shift, factor in ((16, 0x45D9F3B), (15, 0x2C1B3C6D), (16, 1)):
        mixed = ((mixed ^ (mixed >> shift)) & 0xFFFFFFFF) * factor & 0xFFFFFFFF
    return mixed.float() / 2.0**32


def shadowed(tracer: RayTracer, rays: Rays, carried: torch.Tensor) -> torch.Tensor:
    """Whether each ray is blocked, [N] bool; what transparent surfaces take is taken from `carried` [N] or [N, C]."""
    if not isinstance(tracer, TransparentTracer):
        return tracer.occluded(rays)
    share = tracer.transmitted(rays)
    carried *= share if carried.dim() == 1 else share[:, None]
    return share <= 0.0


@dataclass
class Sightlines:
    """What camera rays see one behind the other."""

    rays: Rays  # [N]
    met: RayHits
    cell: torch.Tensor  # [N] int64
    weight: torch.Tensor  # [N] share of the cell


def sightlines(tracer: TransparentTracer, rays: Rays, cells: torch.Tensor) -> Sightlines:
    """Follow camera rays, of the cells `cells` [N], through transparent surfaces until one is opaque."""
    transparency = tracer.transparency
    walk, left = _walk(rays), torch.ones(len(cells), device=cells.device)
    parts: list[Sightlines] = []
    for _ in range(transparency.most + 1):
        hits = tracer.base.intersect(walk.rays)
        alpha = torch.ones_like(left)  # of the world, where nothing is met
        met = torch.nonzero(hits.face >= 0)[:, 0]
        alpha[met] = transparency.alpha(hits.face[met], hits.barycentric[met])
        weight = left * alpha
        shown = torch.nonzero(weight > LITTLE)[:, 0]
        seen = RayHits(hits.face[shown], hits.barycentric[shown], hits.distance[shown])
        line = Rays(*(part[shown] for part in (walk.rays.origin, walk.rays.direction, walk.rays.t_max)))
        parts.append(Sightlines(line, seen, cells[walk.number[shown]], weight[shown]))
        left = left * (1.0 - alpha)
        passed = met[left[met] > LITTLE]
        if len(passed) == 0:
            break
        walk, left = walk.met(hits, transparency.epsilon, passed), left[passed]

    def joined(of: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(of).contiguous()

    lines = [part.rays for part in parts]
    mets = [part.met for part in parts]
    return Sightlines(
        Rays(*(joined([getattr(line, name) for line in lines]) for name in ("origin", "direction", "t_max"))),
        RayHits(*(joined([getattr(met, name) for met in mets]) for name in ("face", "barycentric", "distance"))),
        joined([part.cell for part in parts]),
        joined([part.weight for part in parts]),
    )
