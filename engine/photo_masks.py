# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that follow from the scene: where a photo's camera sees a certain object first."""

from __future__ import annotations

import numpy as np
import torch

from .camera import Projection
from .errors import PhotoError
from .render import CELLS_AT_ONCE, Renderer
from .scene import Camera, Photo, Scene
from .view import apply_filter, build_view, filter_reach, filter_weights

_GRID = 4  # rays along a pixel's side


def photo_projection(scene: Scene, photo: Photo, width: int, height: int, camera: Camera | None = None) -> Projection:
    """The photo's camera, or another in its place, at width x height pixels, whose shape is that of its file."""
    return Projection.of(
        camera or scene.cameras[photo.camera], width, height, photo_aspect(scene, photo, width, height)
    )


def photo_aspect(scene: Scene, photo: Photo, width: int, height: int) -> tuple[float, float]:
    """Shape of a pixel of the photo shrunk to width x height."""
    full_width, full_height = photo.full_size or (width, height)
    # A pixel of the shrunk picture covers full / size pixels of the file, not always equally many both ways.
    aspect_x, aspect_y = scene.film.pixel_aspect
    return aspect_x * full_width / width, aspect_y * full_height / height


def apply_object_masks(renderer: Renderer) -> None:
    """Multiply ``mask`` of each photo that has a ``mask_object`` by how much of each pixel shows that object.

    Raises PhotoError where the photo's camera does not see it.
    """
    scene = renderer.scene
    for photo in scene.photos:
        if not photo.mask_object:
            continue
        assert photo.pixels is not None, "load_photo first"
        height, width = photo.pixels.shape[:2]
        seen = object_coverage(renderer, photo_projection(scene, photo, width, height), photo.mask_object)
        photo.mask = seen if photo.mask is None else photo.mask * seen
        if photo.mask.max() <= 0:
            raise PhotoError(
                f'Photo "{photo.name}": camera "{photo.camera}" does not see its mask object "{photo.mask_object}"; '
                "choose another mask, move the camera, or disable the photo."
            )


def object_coverage(renderer: Renderer, projection: Projection, name: str) -> np.ndarray:
    """The share [H, W] of each pixel, under the pixel filter, in which the object ``name`` is the first to be seen: the
    alpha of a render in which all else is a holdout."""
    scene, film = renderer.scene, renderer.scene.film
    owned = np.array([mesh.object_name == name for mesh in scene.meshes if len(mesh.triangles)], np.float32)
    of_face = torch.from_numpy(owned[renderer.geometry.mesh_index]).to(renderer.device)
    margin = filter_reach(film)
    weights = filter_weights(film, _GRID, 0.0).to(renderer.device)
    band = max(1, CELLS_AT_ONCE // ((projection.width + 2 * margin) * _GRID * _GRID) - 2 * margin)
    rows = []
    with torch.no_grad():
        for first in range(0, projection.height, band):
            last = min(first + band, projection.height)
            view = build_view(renderer.corners, projection, margin=margin, grid=_GRID, rows=(first, last))
            cells = view.composite(of_face[view.face][:, None], None)
            rows.append(apply_filter(cells, weights, weights, _GRID)[..., 0])
    return torch.cat(rows).clamp(0, 1).cpu().numpy()
