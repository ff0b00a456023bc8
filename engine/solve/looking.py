# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a scene for the solver, with what is seen where: quick renders with few light samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion, distance_transform_edt

from ..camera import Projection
from ..render import CELLS_AT_ONCE, Renderer
from ..shading.gather import SampleCounts
from ..view import View, apply_filter, build_view, filter_reach, filter_weights
from .pictures import Shown

# Light samples a cell: noise is the same in every picture that is compared, and means out over many pixels.
COUNTS = SampleCounts(light=2, environment=2, bsdf=2, bounces=1)
# How far away what no surface hides is taken to be, in sizes of the scene.
_FAR = 1e5
# Cells of a picture in which outlines are looked for, from 2 x 2 to 4 x 4 a pixel.
_OUTLINE_CELLS = 1_000_000


@dataclass
class Looker:
    """Makes pictures of a prepared renderer's scene.

    A picture has five channels: the scene's linear radiance, the share of the pixel that shows one of `objects` [meshes
    that have triangles] bool, and the share whose material is `known` [rows of the material bank] bool.
    `background`: what lies behind is known, too. `shade`: without it the first three are 0, which costs a tenth.
    """

    renderer: Renderer
    objects: np.ndarray
    known: np.ndarray
    background: bool = True
    shade: bool = True
    counts: SampleCounts = COUNTS
    grid: int = 1
    seed: int = 0

    @torch.no_grad()
    def look(self, projection: Projection, reduction: float = 1.0, reach: float = 0.0) -> Shown:
        """The picture [H, W, 5] through a camera; `reduction`: by how much its photo was shrunk, see filter_weights.

        What lies within `reach` pixels around surfaces is taken to move with them.
        """
        renderer, film = self.renderer, self.renderer.scene.film
        margin, grid = filter_reach(film), self.grid
        weights = filter_weights(film, grid, 0.0, reduction).to(renderer.device)
        world = renderer.world(environment_fixed=True) if self.shade else None
        owned = torch.from_numpy(self.objects.astype(np.float32)).to(renderer.device)
        known = torch.from_numpy(self.known.astype(np.float32)).to(renderer.device)
        owner = torch.from_numpy(renderer.geometry.mesh_index).to(renderer.device)
        band = _band(projection, margin, grid)
        rows, depths, meshes = [], [], []
        for first in range(0, projection.height, band):
            last = min(first + band, projection.height)
            view = build_view(renderer.corners, projection, margin=margin, grid=grid, rows=(first, last))
            seen = owner[view.face]
            covered = torch.zeros((len(seen), 5), device=renderer.device)
            behind = torch.zeros((len(view.background), 5), device=renderer.device)
            covered[:, 3], covered[:, 4] = owned[seen.long()], known[renderer.corners.material[view.face]]
            behind[:, 4] = float(self.background)
            if world is not None:
                surfaces = renderer.bank.surfaces(view, renderer.corners)
                renderer.gather(view, surfaces, world, self.counts, self.seed * 1_000_003 + first)
                radiance = renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)
                covered[:, :3] = radiance * film.exposure
                if not film.transparent:
                    behind[:, :3] = renderer.background(view) * film.exposure
            rows.append(apply_filter(view.composite(covered, behind), weights, weights, grid))
            nearer = _around(*_nearest(view, seen, projection, _FAR * renderer.geometry.size), margin, grid)
            depths.append(nearer[0])
            meshes.append(nearer[1])
        pixels, depth, mesh = (torch.cat(part).cpu().numpy() for part in (rows, depths, meshes))
        if reach > 0 and (mesh >= 0).any():
            away, nearest = distance_transform_edt(mesh < 0, return_indices=True)
            near = away <= reach
            depth, mesh = (np.where(near, part[tuple(nearest)], part) for part in (depth, mesh))
        return Shown(pixels.astype(np.float64), _points(projection, depth.astype(np.float64)), mesh)

    @torch.no_grad()
    def outline(self, projection: Projection, reduction: float = 1.0) -> Shown:
        """The share [H, W, 1] of each pixel that shows `objects`; everything moves with the nearest point of their rim.

        On a round body the rim alone moves as the outline does: beside it the surface falls away steeply.
        """
        renderer, film = self.renderer, self.renderer.scene.film
        margin = filter_reach(film)
        height, width = projection.height, projection.width
        grid = int(np.clip(round((_OUTLINE_CELLS / (height * width)) ** 0.5), 2, 4))
        weights = filter_weights(film, grid, 0.0, reduction)
        owned = torch.from_numpy(self.objects).to(renderer.device)
        owner = torch.from_numpy(renderer.geometry.mesh_index).to(renderer.device)
        band, inner = _band(projection, margin, grid), slice(margin * grid, -margin * grid or None)
        rows, cells = [], []
        for first in range(0, height, band):
            last = min(first + band, height)
            view = build_view(renderer.corners, projection, margin=margin, grid=grid, rows=(first, last))
            seen = owner[view.face]
            shown = view.composite(owned[seen.long()][:, None].float(), None).cpu()
            depth, mesh = _nearest(view, seen, projection, _FAR * renderer.geometry.size)
            rows.append(apply_filter(shown, weights, weights, grid))
            found = torch.cat([shown, depth.cpu()[..., None], mesh.cpu()[..., None].float()], dim=-1)
            cells.append(found[inner, inner].numpy())
        share, depths, meshes = np.moveaxis(np.concatenate(cells), -1, 0)
        inside = share > 0.5
        rim = inside & ~binary_erosion(inside, border_value=1)
        middle = grid // 2
        if rim.any():
            nearest = distance_transform_edt(~rim, return_distances=False, return_indices=True)
            place = tuple(part[middle::grid, middle::grid] for part in nearest)
            depths, meshes = depths[place], meshes[place]
        else:
            depths = np.full((height, width), _FAR * renderer.geometry.size)
            meshes = np.full((height, width), -1.0)
        points = _points(projection, depths.astype(np.float64))
        return Shown(torch.cat(rows).numpy().astype(np.float64), points, meshes.astype(np.int32))


def _depth(view: View, projection: Projection) -> torch.Tensor:
    """Depth [P] of the covered cells along the view axis."""
    matrix = torch.tensor(projection.camera.matrix, dtype=torch.float32, device=view.position.device)
    return (matrix[:3, 3] - view.position) @ matrix[:3, 2]


def _band(projection: Projection, margin: int, grid: int) -> int:
    """Rows of pixels that are rendered at a time."""
    return max(1, CELLS_AT_ONCE // ((projection.width + 2 * margin) * grid * grid) - 2 * margin)


def _nearest(view: View, seen: torch.Tensor, projection: Projection, far: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Depth along the view axis and mesh [H, W] of the nearest surface in each cell; `far` and -1: none."""
    depth = torch.full((view.height * view.width,), far, device=view.position.device)
    mesh = torch.full((view.height * view.width,), -1, dtype=torch.int32, device=view.position.device)
    found = _depth(view, projection).clamp(max=far)
    depth = depth.scatter_reduce(0, view.cell, found, "amin")
    first = found <= depth[view.cell]
    mesh[view.cell[first]] = seen[first].to(torch.int32)
    return depth.reshape(view.height, view.width), mesh.reshape(view.height, view.width)


def _around(depth: torch.Tensor, mesh: torch.Tensor, margin: int, grid: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The nearest of the cells in each pixel [h, w] or one beside it."""
    size = 3 * grid if margin else grid
    # the largest of the negated depths, and where it lies
    nearest, index = F.max_pool2d(-depth[None, None], size, grid, return_indices=True)
    inner = slice(margin - 1, -(margin - 1) or None) if margin else slice(None)
    return -nearest[0, 0, inner, inner], mesh.flatten()[index[0, 0, inner, inner]]


def _points(projection: Projection, depth: np.ndarray) -> np.ndarray:
    """World-space points [H, W, 3] in the middle of the pixels at depths [H, W] along the view axis."""
    height, width = depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    across, up = projection.slopes(x, y)
    if projection.camera.kind == "PERSP":
        across, up = across * depth, up * depth
    local = np.stack([across, up, -depth], axis=-1)
    matrix = projection.camera.matrix
    return local @ matrix[:3, :3].T + matrix[:3, 3]
