# SPDX-License-Identifier: GPL-3.0-or-later
"""What one camera sees at one sub-pixel offset: the surface points behind the pixels, and the pixel filter.

A view covers the picture plus a margin of whole pixels, because the reconstruction filter of a border pixel reaches
outside. Each grid cell is sampled once, at its centre plus the offset; `grid` cells make up a pixel's side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import torch
import warp as wp

from .camera import Projection
from .geometry import Geometry
from .ops.launch import launch
from .rays import Rays
from .scene import Film
from .shading.draw import Hits
from .shading.live_texels import LiveTexture
from .shading.samples import Samples
from .shading.shade import PixelFrames
from .transparency import TransparentTracer, sightlines
from .view_kernels import camera_rays, surface_points


@dataclass
class View:
    """P covered cells of a view, sorted by material, and the cells that see the background."""

    height: int  # cells, margin included
    width: int
    cell: torch.Tensor  # [P] int64, flat index of the cell
    background: torch.Tensor  # [B] int64
    background_direction: torch.Tensor  # [B, 3] world space
    material_slices: list[tuple[int, slice]]  # (material row, its pixels)
    face: torch.Tensor  # [P] int64
    barycentric: torch.Tensor  # [P, 3] weights of the corners
    position: torch.Tensor  # [P, 3]
    side: torch.Tensor  # [P] float32, -1 where the back of a face is seen
    raw_normal: torch.Tensor  # [P, 3] interpolated corner normals, not normalised, not flipped
    tangent: torch.Tensor  # [P, 4] interpolated tangents and bitangent sign
    frames: PixelFrames
    samples: Samples | None = None
    # samples of lights that only a part of the lobes reflects, by LightArrays.lobes
    parts: dict[int, Samples] = field(default_factory=dict)
    live: list[LiveTexture] = field(default_factory=list)  # fitted textures that samples come from
    live_needed: bool = False  # whether their gradient is worth its time
    seen_lights: torch.Tensor | None = None  # [cells, L] radiance that the camera sees of each light of power 1
    map_normal: torch.Tensor | None = None  # [P, 3] and [P, 3, 3], see Mesh.map_normals; None where no mesh has any
    map_turn: torch.Tensor | None = None
    # where surfaces let light through, a cell may appear several times: the share of it that each has
    weight: torch.Tensor | None = None  # [P, 3]
    background_weight: torch.Tensor | None = None  # [B, 3]
    hole: torch.Tensor | None = None  # [H] int64, cells where a holdout is seen
    hole_weight: torch.Tensor | None = None  # [H, 3]
    background_bent: torch.Tensor | None = None  # [B] bool, what of the background is seen through glass

    def composite(self, covered: torch.Tensor, behind: torch.Tensor | None) -> torch.Tensor:
        """Values of the surfaces [P, C] and of the background [B, C] put together: [H, W, C]; None leaves it 0."""
        image = torch.zeros((self.height * self.width, covered.shape[1]), device=covered.device)
        if self.weight is None or self.background_weight is None:
            image = image.index_copy(0, self.cell, covered)
            if behind is not None:
                image = image.index_copy(0, self.background, behind)
        else:
            image = image.index_add(0, self.cell, covered * _for_channels(self.weight, covered))
            if behind is not None:
                image = image.index_add(0, self.background, behind * _for_channels(self.background_weight, behind))
        return image.reshape(self.height, self.width, -1)

    def map_frame(self, part: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Normals and bitangents [n, 3] that go with the tangents of a slice of the pixels, of any length."""
        normal = (self.raw_normal if self.map_normal is None else self.map_normal)[part]
        bitangent = torch.linalg.cross(normal, self.tangent[part, :3]) * torch.sign(self.tangent[part, 3:4])
        return normal, bitangent if self.map_turn is None else (self.map_turn[part] @ bitangent[:, :, None])[:, :, 0]

    def alpha(self, transparent: bool) -> torch.Tensor:
        """Alpha [H, W, 1] where surfaces let light through: what holdouts and, on a transparent film, the background
        leave of 1. As in Cycles, what glass shows of it counts as a surface."""
        alpha = torch.ones(self.height * self.width, device=self.face.device)
        if self.hole is not None and self.hole_weight is not None:
            alpha.index_add_(0, self.hole, self.hole_weight.mean(1), alpha=-1)
        if transparent and self.background_weight is not None and self.background_bent is not None:
            seen = self.background_weight.mean(1) * ~self.background_bent
            alpha.index_add_(0, self.background, seen, alpha=-1)
        return alpha.reshape(self.height, self.width, 1)

    def hits(self) -> Hits:
        """Kernel arrays of the surface points."""
        self._face32 = self.face.to(torch.int32)
        self._uv = self.barycentric[:, :2].contiguous()
        hits = Hits()
        hits.face = wp.from_torch(self._face32)
        hits.barycentric = wp.from_torch(self._uv, dtype=wp.vec2)
        hits.position = wp.from_torch(self.position, dtype=wp.vec3)
        hits.side = wp.from_torch(self.side)
        return hits


def _for_channels(weight: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Weights [N, 3] for values [N, C]: of a colour for its channels, of anything else their mean."""
    return weight if values.shape[1] == 3 else weight.mean(1, keepdim=True)


class DeviceGeometry:
    """Torch copies of the corner attributes, made once a scene."""

    def __init__(self, geometry: Geometry, bump_correction: np.ndarray) -> None:
        device = geometry.device
        self.geometry = geometry
        self.corners = torch.from_numpy(geometry.positions[geometry.triangles]).to(device)  # [T, 3, 3]
        self.normals = torch.from_numpy(geometry.normals).to(device)
        self.tangents = torch.from_numpy(geometry.tangents).to(device)
        self.grain = None if geometry.grain is None else torch.from_numpy(geometry.grain).to(device)
        maps = geometry.map_normals, geometry.map_frames
        self.map_normals, self.map_frames = (None if x is None else torch.from_numpy(x).to(device) for x in maps)
        self.uvs = torch.from_numpy(geometry.uvs).to(device)  # [S, T, 3, 2]
        self.material = torch.from_numpy(geometry.material.astype(np.int64)).to(device)
        self.holdout = None if geometry.holdout is None else torch.from_numpy(geometry.holdout).to(device)
        self.bump_correction = torch.from_numpy(bump_correction.astype(np.float32)).to(device)  # [M]

    def uv(self, view: View, slot: int, part: slice) -> torch.Tensor:
        """Texture coordinates [n, 2] of a slice of a view's pixels."""
        return self.uv_at(slot, view.face[part], view.barycentric[part])

    def uv_at(self, slot: int, face: torch.Tensor, barycentric: torch.Tensor) -> torch.Tensor:
        """Texture coordinates [n, 2] at points of triangles `face` [n] with corner weights `barycentric` [n, 3]."""
        return _interpolate(self.uvs[slot], face, barycentric)

    def grain_at(self, view: View) -> torch.Tensor | None:
        """Tangents [P, 3] that the grain follows at a view's pixels, of any length; None where no mesh has any."""
        return None if self.grain is None else _interpolate(self.grain, view.face, view.barycentric)


@wp.kernel(enable_backward=False)
def _interpolate_kernel(
    start: int,
    slot: int,
    corner_values: wp.array3d(dtype=wp.float32),
    face: wp.array(dtype=wp.int64),
    barycentric: wp.array(dtype=wp.vec3),
    out: wp.array2d(dtype=wp.float32),
):
    i = start + wp.tid()
    t = int(face[i])
    b = barycentric[i]
    for c in range(out.shape[1]):
        out[i, c] = b[0] * corner_values[t, 0, c] + b[1] * corner_values[t, 1, c] + b[2] * corner_values[t, 2, c]


def _interpolate(corner_values: torch.Tensor, face: torch.Tensor, barycentric: torch.Tensor) -> torch.Tensor:
    """Values [T, 3, C] of the triangles' corners at points [P] of them: [P, C]."""
    out = torch.empty((len(face), corner_values.shape[2]), device=face.device)
    inputs = [
        wp.from_torch(corner_values),
        wp.from_torch(face),
        wp.from_torch(barycentric, dtype=wp.vec3),
        wp.from_torch(out),
    ]
    launch(_interpolate_kernel, len(face), inputs, str(face.device))
    return out


def filter_reach(film: Film) -> int:
    """Whole pixels by which the reconstruction filter reaches beyond a pixel."""
    support = {"BLACKMAN_HARRIS": film.filter_width, "BOX": 0.5, "GAUSSIAN": 1.5 * film.filter_width}[film.filter]
    return max(0, math.ceil(support - 0.5 - 1e-6))


def filter_weights(film: Film, grid: int, offset: float, reduction: float = 1.0) -> torch.Tensor:
    """Weights [(2 reach + 1) grid] of the cells around a pixel, summing to 1 (docs/blender-image-formation.md §1).

    `offset` is the sampling position inside a cell in pixels. `reduction` is the factor by which a photo was shrunk by
    area averaging after it was taken: its filter is narrower then, followed by a box of one pixel.
    """
    reach = filter_reach(film)
    d = (torch.arange((2 * reach + 1) * grid, dtype=torch.float64) + 0.5) / grid - reach - 0.5 + offset
    if reduction > 1.0:
        inside = (torch.arange(64, dtype=torch.float64) + 0.5) / 64 - 0.5
        weights = _window(film, (d[:, None] + inside) * reduction).mean(1)
    else:
        weights = _window(film, d)
    if float(weights.sum()) <= 0:  # a filter thinner than the grid: the nearest cell
        weights = (d.abs() == d.abs().min()).double()
    return (weights / weights.sum()).float()


def _window(film: Film, d: torch.Tensor) -> torch.Tensor:
    width = film.filter_width
    if film.filter == "BOX":
        return (d.abs() <= 0.5).double()
    if film.filter == "GAUSSIAN":
        return torch.exp(-2.0 * (6.0 * d / (3.0 * width)) ** 2) * (d.abs() <= 1.5 * width)
    t = 2 * torch.pi * (d / (2 * width) + 0.5)
    window = 0.35875 - 0.48829 * torch.cos(t) + 0.14128 * torch.cos(2 * t) - 0.01168 * torch.cos(3 * t)
    return window * (d.abs() <= width)


def apply_filter(cells: torch.Tensor, across: torch.Tensor, up: torch.Tensor, grid: int) -> torch.Tensor:
    """Cells [H, W, C] with their margin -> pixels; separable weights for columns and rows."""
    return _Filter.apply(_Filter.apply(cells, up, 0, grid), across, 1, grid)


class _Filter(torch.autograd.Function):
    """Weighted sums of neighbours along one dimension, `grid` apart: a few vectorised additions of whole images, which
    cost a fraction of a general convolution of so few channels. The weights are constant."""

    @staticmethod
    def forward(ctx: Any, cells: torch.Tensor, weights: torch.Tensor, dim: int, grid: int) -> torch.Tensor:
        ctx.shape, ctx.weights, ctx.modes = cells.shape, weights, (dim, grid)
        neighbours = cells.unfold(dim, len(weights), grid)
        out = neighbours[..., 0] * weights[0]
        for k in range(1, len(weights)):
            out.addcmul_(neighbours[..., k], weights[k])
        return out

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        dim, grid = ctx.modes
        grad = grad_out.new_zeros(ctx.shape)
        neighbours = grad.unfold(dim, len(ctx.weights), grid)
        for k in range(len(ctx.weights)):
            neighbours[..., k].addcmul_(grad_out, ctx.weights[k])
        return grad, None, None, None


def _cell_places(
    projection: Projection, margin: int, grid: int, offset: tuple[float, float], rows: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Image coordinates of the columns and rows of cells, see build_view."""
    first, last = rows if rows is not None else (0, projection.height)
    height, width = (last - first + 2 * margin) * grid, (projection.width + 2 * margin) * grid
    x = (np.arange(width) + 0.5) / grid - margin + offset[0]
    y = (np.arange(height) + 0.5) / grid + first - margin + offset[1]
    return x, y


def cell_rays(
    projection: Projection,
    device: str,
    *,
    margin: int,
    grid: int = 1,
    offset: tuple[float, float] = (0.0, 0.0),
    rows: tuple[int, int] | None = None,
) -> Rays:
    """The rays of the camera through all cells of a view, see build_view."""
    x, y = _cell_places(projection, margin, grid, offset, rows)
    return camera_rays(projection, x, y, torch.arange(len(x) * len(y), device=device))


def build_view(
    device_geometry: DeviceGeometry,
    projection: Projection,
    *,
    margin: int,
    grid: int = 1,
    offset: tuple[float, float] = (0.0, 0.0),
    rows: tuple[int, int] | None = None,
    wanted: torch.Tensor | None = None,
) -> View:
    """Find the surface behind every cell of pixel rows [first, last) with `margin` pixels around.

    `wanted` [pixels high + 2 margin, wide + 2 margin] bool (grid 1) leaves other cells out altogether.
    """
    geometry = device_geometry.geometry
    device = geometry.device
    x, y = _cell_places(projection, margin, grid, offset, rows)
    height, width = len(y), len(x)
    cells = torch.arange(height * width, device=device)
    if wanted is not None:
        cells = cells[wanted.reshape(-1)]
    rays = camera_rays(projection, x, y, cells)
    weight = bent = None
    if isinstance(geometry.rays, TransparentTracer):
        lines = sightlines(geometry.rays, rays, cells)
        rays, met, cells, weight, bent = lines.rays, lines.met, lines.cell, lines.weight, lines.bent
    else:
        met = geometry.rays.intersect(rays)

    hit = torch.nonzero(met.face >= 0)[:, 0]
    hole = None
    if device_geometry.holdout is not None:
        held = device_geometry.holdout[met.face[hit]]
        hit, hole = hit[~held], hit[held]
    missed = torch.nonzero(met.face < 0)[:, 0]
    material = device_geometry.material[met.face[hit]]
    sizes = torch.bincount(material).tolist()
    if sum(size > 0 for size in sizes) > 1:
        order = torch.argsort(material, stable=True)
        hit, material = hit[order], material[order]
    corners = device_geometry.corners, device_geometry.normals, device_geometry.tangents
    points = surface_points(hit, rays, met, *corners)
    bump = device_geometry.bump_correction[material]
    map_normal = map_turn = None
    if device_geometry.map_normals is not None and device_geometry.map_frames is not None:
        map_normal = _interpolate(device_geometry.map_normals, points["face"], points["barycentric"])
        map_turn = device_geometry.map_frames[points["face"]]
    return View(
        height=height,
        width=width,
        cell=cells[hit],
        background=cells[missed],
        background_direction=rays.direction[missed],
        material_slices=_slices(sizes),
        face=points["face"],
        barycentric=points["barycentric"],
        position=points["position"],
        side=points["side"],
        raw_normal=points["raw_normal"],
        tangent=points["tangent"],
        frames=PixelFrames(points["smooth"], points["geometric"], points["view"], bump),
        map_normal=map_normal,
        map_turn=map_turn,
        weight=None if weight is None else weight[hit],
        background_weight=None if weight is None else weight[missed],
        hole=None if hole is None else cells[hole],
        hole_weight=None if hole is None or weight is None else weight[hole],
        background_bent=None if bent is None else bent[missed],
    )


def _slices(sizes: list[int]) -> list[tuple[int, slice]]:
    """(Row, slice) of each row that has any of the sorted items."""
    ends = list(accumulate(sizes))
    return [(row, slice(end - size, end)) for row, (size, end) in enumerate(zip(sizes, ends, strict=True)) if size]
