# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos at the resolutions of the fit, and the cached views that are compared with them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from .camera import Projection
from .errors import PhotoError
from .ops.blender_texture import sample_texture
from .photo_masks import photo_projection
from .render import Renderer
from .scene import Film, Photo, Scene
from .shading.gather import SampleCounts
from .shading.paths import World
from .view import View, apply_filter, build_view, cell_rays, filter_reach, filter_weights

# Bytes of cached light samples before the oldest view is dropped and gathered anew when it is needed.
CACHE_BYTES = 1_200_000_000
# Side of the squares of pixels that are kept of surfaces whose material is known, see PhotoPyramid.restrict.
BLOCK = 8
# Pictures of no more pixels are compared whole.
SMALL = 128 * 128


@dataclass
class Level:
    """A photo at one resolution."""

    projection: Projection
    target: torch.Tensor  # [H, W, 3]
    weight: torch.Tensor  # [H, W]
    wanted: torch.Tensor | None  # [H + 2 margin, W + 2 margin] bool; None: every cell
    reduction: float  # by how much the pixels of level 0 were shrunk


class PhotoPyramid:
    """One photo at full fit resolution (level 0) and halved ones."""

    def __init__(self, scene: Scene, photo: Photo, device: str) -> None:
        assert photo.pixels is not None, "load_photo first"
        self.photo = photo
        self._scene = scene
        self._pixels = torch.from_numpy(photo.pixels).to(device)
        mask = torch.ones(photo.pixels.shape[:2]) if photo.mask is None else torch.from_numpy(photo.mask)
        self._mask = mask.to(device)
        self._masked = photo.mask is not None
        self._levels: dict[int, Level] = {}

    def level(self, number: int) -> Level:
        """The photo shrunk by 2^number."""
        if number not in self._levels:
            self._levels[number] = self._make(number)
        return self._levels[number]

    def restrict(self, renderer: Renderer, materials: set[int], levels: set[int], blocks: int) -> None:
        """Leave out most of what sees none of these material rows.

        Where light is known such pixels tell nothing (`blocks` 0). Where it is fitted they tell a lot, but far more
        often than needed: one square in `blocks` is kept and counts for all of them.
        """
        margin = filter_reach(self._scene.film)
        for number in levels:
            level = self.level(number)
            view = build_view(renderer.corners, level.projection, margin=margin, wanted=level.wanted)
            seen = torch.zeros(view.height * view.width, device=renderer.device)
            for row, part in view.material_slices:
                if row in materials:
                    seen[view.cell[part]] = 1.0
            near = _dilated(seen.reshape(view.height, view.width), margin)
            share = near[margin : view.height - margin, margin : view.width - margin]
            if blocks and share.numel() <= SMALL:
                continue
            if blocks:
                share = torch.maximum(share, float(blocks) * (1 - share) * _every(blocks, share))
            if not bool((level.weight * share > 0).any()):
                continue
            level.weight = level.weight * share
            reached = F.pad((level.weight > 0).float(), [margin] * 4)
            wanted = _dilated(reached, margin) > 0
            level.wanted = wanted if level.wanted is None else level.wanted & wanted

    def _make(self, number: int) -> Level:
        height, width = self._pixels.shape[:2]
        size = max(8, height >> number), max(8, width >> number)
        target, weight = self._pixels, self._mask
        if number:
            joined = torch.cat([target * weight[..., None], weight[..., None]], dim=-1).permute(2, 0, 1)[None]
            small = F.interpolate(joined, size, mode="area")[0].permute(1, 2, 0)
            weight = small[..., 3].contiguous()
            target = (small[..., :3] / weight[..., None].clamp(min=1e-4)).contiguous()
        projection = photo_projection(self._scene, self.photo, size[1], size[0])
        wanted = None
        if self._masked:
            margin = filter_reach(self._scene.film)
            reached = F.pad((weight > 0).float()[None, None], [margin] * 4)
            wanted = _dilated(reached[0, 0], margin) > 0
        if not bool((weight > 0).any()):
            raise PhotoError(f'Photo "{self.photo.name}": the mask leaves no pixel; paint the object white in it')
        return Level(projection, target, weight * self.photo.weight, wanted, float(2**number))


def _every(count: int, like: torch.Tensor) -> torch.Tensor:
    """1 in one square of BLOCK pixels out of `count`, else 0, [H, W]; evenly spread (a lattice of rank one)."""
    y, x = (torch.arange(side, device=like.device) // BLOCK for side in like.shape)
    return ((5 * y[:, None] + 3 * x) % count == 0).to(like.dtype)


def _dilated(image: torch.Tensor, reach: int) -> torch.Tensor:
    """Maximum over the square of `reach` cells around, [H, W]."""
    return F.max_pool2d(image[None, None], 2 * reach + 1, 1, reach)[0, 0]


@dataclass
class CachedView:
    """A view of a photo with its light samples and its filter."""

    view: View
    across: torch.Tensor
    up: torch.Tensor
    background_uv: torch.Tensor  # [B, 2] lookup coordinates of the environment
    bytes: int


class ViewCache:
    """Views of the photos, gathered when first asked for and kept until `clear` or until memory runs short."""

    def __init__(self, renderer: Renderer, photos: list[PhotoPyramid], counts: SampleCounts) -> None:
        self._renderer = renderer
        self._photos = photos
        self._counts = counts
        self._views: OrderedDict[int, CachedView] = OrderedDict()

    def clear(self) -> None:
        """Forget all samples: the scene has changed enough to look again."""
        self._views.clear()

    def get(self, index: int, level: int, offset: tuple[float, float], world: World, seed: int) -> CachedView:
        """The view of photo `index`; a new one is gathered with the given offset, world and seed."""
        if index in self._views:
            self._views.move_to_end(index)
            return self._views[index]
        cached = self._gather(self._photos[index].level(level), offset, world, seed, self._counts)
        self._views[index] = cached
        while len(self._views) > 1 and sum(entry.bytes for entry in self._views.values()) > CACHE_BYTES:
            self._views.popitem(last=False)
        return cached

    def gather(
        self, index: int, level: int, world: World, seed: int, counts: SampleCounts, everywhere: bool = False
    ) -> CachedView:
        """A view with other sample counts, sampled at the pixels' centres; it is not kept.

        `everywhere`: also the cells that the fit does not look at.
        """
        shown = self._photos[index].level(level)
        return self._gather(replace(shown, wanted=None) if everywhere else shown, (0.0, 0.0), world, seed, counts)

    def _gather(
        self, level: Level, offset: tuple[float, float], world: World, seed: int, counts: SampleCounts
    ) -> CachedView:
        renderer, film = self._renderer, self._renderer.scene.film
        margin = filter_reach(film)
        with torch.no_grad():
            view = build_view(renderer.corners, level.projection, margin=margin, offset=offset, wanted=level.wanted)
            surfaces = renderer.bank.surfaces(view, renderer.corners)
            renderer.gather(view, surfaces, world, counts, seed)
            if any(light.visible_camera for light in renderer.scene.lights):
                rays = cell_rays(level.projection, renderer.device, margin=margin, offset=offset)
                view.seen_lights = renderer.seen_lights(view, rays)
        weights = [filter_weights(film, 1, shift, level.reduction).to(renderer.device) for shift in offset]
        samples = view.samples
        size = samples.direction.nbytes * 2 + samples.source.nbytes if samples is not None else 0
        return CachedView(view, weights[0], weights[1], _background_uv(renderer, view), size)


def _background_uv(renderer: Renderer, view: View) -> torch.Tensor:
    rotation = torch.tensor(renderer.scene.world.rotation, dtype=torch.float32, device=renderer.device)
    d = view.background_direction @ rotation.T
    u = 0.5 - torch.atan2(d[:, 1], d[:, 0]) / (2 * torch.pi)
    v = 0.5 + torch.asin(d[:, 2].clamp(-1, 1)) / torch.pi
    return torch.stack([u, v], dim=1).contiguous()


def predict(
    renderer: Renderer, cached: CachedView, light_color: torch.Tensor, environment: torch.Tensor, film: Film
) -> torch.Tensor:
    """Scene-linear picture [H, W, 3] of a cached view, differentiable."""
    view = cached.view
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    covered = renderer.radiance(view, surfaces, light_color, environment)
    behind = None
    if not film.transparent and len(view.background):
        behind = sample_texture(environment.contiguous(), cached.background_uv, "REPEAT", "Linear")
    cells = view.composite(covered, behind)
    if view.seen_lights is not None:
        cells = cells + (view.seen_lights @ light_color).reshape(cells.shape)
    image = apply_filter(cells, cached.across, cached.up, 1)
    return image * film.exposure
