# SPDX-License-Identifier: GPL-3.0-or-later
"""A photo as the solver of cameras sees it: what of it can be trusted, and how it differs from the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from ..camera import Projection
from ..color import ViewTransform
from ..photo_masks import photo_projection
from ..photo_views import Level, PhotoPyramid
from ..render import Renderer
from ..result import MATERIAL_TARGETS, Target
from ..scene import Camera, Photo, Scene
from .looking import Looker
from .pictures import PictureTerm, Shown

# A mask tells where the outline is to a pixel or so; where the inside is known, that tells more.
_MASK_WEIGHT, _MASK_BESIDE_COLOUR = 1.0, 0.2

# Less than this share of a mask shows a known material: its colours are left alone.
_LEAST_KNOWN = 0.02


@dataclass
class Clues:
    """What of a scene is known while cameras are looked for."""

    known: np.ndarray  # [rows of the material bank] bool: materials that are seen and not fitted
    gains: bool  # light or exposure is fitted: brightness and contrast of a photo say nothing
    background: bool  # what lies behind the meshes is part of the scene
    fitted: list[str]  # materials that are fitted

    @classmethod
    def of(cls, scene: Scene, targets: Sequence[Target], renderer: Renderer) -> Clues:
        """What `targets` leave alone is known."""
        fitted = {target.datablock or "" for target in targets if target.kind in MATERIAL_TARGETS}
        kinds = {target.kind for target in targets}
        light = bool(kinds & {"lights", "world", "world_strength", "exposure", "white_balance"})
        known = np.array([material.name not in fitted for material in renderer.bank.materials])
        known &= np.isin(np.arange(len(known)), renderer.geometry.material)
        background = not (kinds & {"world", "world_strength"}) and not scene.film.transparent
        return cls(known, light, background, sorted(fitted))


class Sight:
    """One photo with its pyramid."""

    def __init__(self, scene: Scene, photo: Photo, renderer: Renderer, transform: ViewTransform, clues: Clues) -> None:
        self.scene, self.photo, self.transform, self.clues = scene, photo, transform, clues
        self.pyramid = PhotoPyramid(scene, photo, renderer.device)
        self.masked = photo.mask is not None
        meshes = [mesh for mesh in scene.meshes if len(mesh.triangles)]
        self.looker = Looker(
            renderer,
            np.ones(len(meshes), bool),
            clues.known,
            clues.background and not self.masked,
            shade=bool(clues.known.any()),
        )
        self._meshes = meshes
        gain = 2.0**photo.exposure * np.asarray(photo.white_balance, np.float64)
        self._gain = np.broadcast_to(gain, (3,))

    @property
    def shaded(self) -> bool:
        """Whether colours are compared, and not the outline alone."""
        return self.looker.shade

    def projection(self, camera: Camera, number: int) -> Projection:
        """A camera in this photo's place, for its level `number`."""
        level = self.pyramid.level(number)
        return photo_projection(self.scene, self.photo, level.projection.width, level.projection.height, camera)

    def shown(self, camera: Camera, number: int, reach: float = 2.0, looker: Looker | None = None) -> Shown:
        """The render [H, W, 5] through a camera, colours as the photo has them."""
        level = self.pyramid.level(number)
        shown = (looker or self.looker).look(self.projection(camera, number), level.reduction, reach)
        if self.shaded:
            linear = torch.from_numpy(shown.pixels[..., :3] * self._gain).float()
            shown.pixels[..., :3] = self._domain(linear).double().numpy()
        return shown

    def outline(self, camera: Camera, number: int) -> Shown:
        """The share [H, W, 1] of each pixel that shows the objects."""
        return self.looker.outline(self.projection(camera, number), self.pyramid.level(number).reduction)

    def pictures(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """The photo [H, W, 3] in the domain of comparison and its mask [H, W] at a level."""
        level = self.pyramid.level(number)
        target = level.target.cpu()
        if self.photo.domain == "linear":
            target = torch.log1p(target.clamp(min=0))
        return target.double().numpy(), self.mask(level)

    def mask(self, level: Level) -> np.ndarray:
        """The photo's mask [H, W] from 0 to 1."""
        return (level.weight.cpu().double().numpy() / max(self.photo.weight, 1e-12)).clip(0, 1)

    def terms(
        self,
        camera_of: Callable[[np.ndarray], Camera],
        at: np.ndarray,
        unknowns: Sequence[int],
        steps: np.ndarray,
        number: int,
        blur: float,
    ) -> list[PictureTerm]:
        """The photo at a level against the scene through `camera_of(values)`, rendered for the values `at`: by its
        colours, by its mask, or by both."""
        photo, mask = self.pictures(number)
        reach = 2.0 + 3.0 * blur

        def move(values: np.ndarray, points: np.ndarray, mesh: np.ndarray) -> np.ndarray:
            places = self.projection(camera_of(values), number).project(points)
            return np.where(places[:, 2:] > 0, places[:, :2], np.nan)

        compared = []
        if self.shaded:
            shown = self.shown(camera_of(at), number, reach)
            weight = np.repeat((mask * shown.pixels[..., 4])[..., None], 3, axis=-1)
            compared.append((shown, slice(0, 3), photo, weight, self.clues.gains))
        if self.masked:
            weight = np.full((*mask.shape, 1), _MASK_BESIDE_COLOUR if self.shaded else _MASK_WEIGHT)
            compared.append((self.outline(camera_of(at), number), slice(0, 1), mask[..., None], weight, False))
        return [
            PictureTerm(
                unknowns,
                replace(shown, pixels=shown.pixels[..., channels]),
                at,
                target,
                weight * self.photo.weight,
                move,
                steps,
                blur=blur,
                gains=gains,
            )
            for shown, channels, target, weight, gains in compared
        ]

    def overlap(self, camera: Camera, number: int) -> float:
        """Intersection over union of mask and outline of the objects through a camera."""
        outline = self.outline(camera, number).pixels[..., 0]
        mask = self.mask(self.pyramid.level(number))
        return float(np.minimum(outline, mask).sum() / max(float(np.maximum(outline, mask).sum()), 1e-9))

    def choose_objects(self, camera: Camera, number: int) -> None:
        """Find which objects the mask shows: all, those whose material is fitted, or one."""
        if not self.masked:
            return
        names = [mesh.object_name or mesh.name for mesh in self._meshes]
        fitted = [bool(set(mesh.material_names) & set(self.clues.fitted)) for mesh in self._meshes]
        choices = [np.array(fitted), np.ones(len(names), bool)]
        choices += [np.array([other == name for other in names]) for name in dict.fromkeys(names)]
        best = -1.0
        for objects in choices:
            if not objects.any():
                continue
            before, self.looker.objects = self.looker.objects, objects
            found = self.overlap(camera, number)
            if found > best + 0.02:
                best = found
            else:
                self.looker.objects = before
        shown, mask = self.shown(camera, number).pixels, self.mask(self.pyramid.level(number))
        inside = float((mask * shown[..., 4]).sum())
        self.looker.shade = self.looker.shade and inside > _LEAST_KNOWN * float(mask.sum())

    def _domain(self, linear: torch.Tensor) -> torch.Tensor:
        if self.photo.domain == "linear":
            return torch.log1p(linear.clamp(min=0))
        return self.transform(linear.to(self.transform.device)).cpu()
