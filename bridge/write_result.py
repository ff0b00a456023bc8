# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: a :class:`engine.result.FitResult` becomes images, nodes, lights and a world.

Everything is checked, and all images are made, before the first existing datablock changes; so an error leaves the
file as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..engine.errors import SceneError
from ..engine.result import MATERIAL_TARGETS, FitResult
from ..engine.scene import Note
from .notes import Notes
from .photo_list import settings
from .write_image import image_name, new_image, write_fitted_image
from .write_material import check_material, write_socket
from .write_world import check_world, environment_pixels, find_light, write_light, write_world


@dataclass
class WriteSummary:
    """What changed in the file, by datablock name; ``notes`` say what was replaced or bypassed."""

    images: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    lights: list[str] = field(default_factory=list)
    world: str | None = None
    photos: list[str] = field(default_factory=list)
    exposure: float | None = None
    notes: list[Note] = field(default_factory=list)


def write_result(scene: bpy.types.Scene, result: FitResult) -> WriteSummary:
    """Write a fit into the open file; saving it is up to the caller.

    Emission images hold radiance: Emission Strength becomes 1. Coverage maps become images with a fake user, for
    the artist to look at. Raises :class:`SceneError` where a datablock is gone, linked from another file or not
    writable; nothing has changed then.
    """
    _check_values(result)
    targets = {name: check_material(name) for name in dict.fromkeys(image.material for image in result.images)}
    lights = [(find_light(fitted.data_name), fitted) for fitted in result.lights]
    if result.world is not None:
        check_world(scene.world)

    made: list[bpy.types.Image] = []
    try:
        images = []
        for fitted_image in result.images:
            images.append(write_fitted_image(fitted_image))
            made.append(images[-1])
        environment = None
        pixels = environment_pixels(scene.world, result.world) if result.world is not None else None
        if pixels is not None:
            owner = scene.world.name_full if scene.world is not None else "World"
            environment = new_image(image_name(owner, "environment"), pixels, "Linear Rec.709", 32)
            made.append(environment)
        for name, coverage in result.coverage.items():
            image = new_image(image_name(name, "coverage"), coverage[..., None].clip(0, 1), "Non-Color", 8)
            image.use_fake_user = True
            made.append(image)
    except BaseException:
        for image in made:
            bpy.data.images.remove(image)
        raise

    notes = Notes()
    summary = WriteSummary(images=[image.name_full for image in made], materials=list(targets))
    for fitted_image, image in zip(result.images, images, strict=True):
        write_socket(targets[fitted_image.material], fitted_image.socket, image, notes)
    for light, fitted_light in lights:
        write_light(light, fitted_light)
        summary.lights.append(light.name_full)
    if result.world is not None:
        summary.world = write_world(scene, result.world, environment, notes)
    if result.exposure is not None:
        scene.view_settings.exposure = result.exposure
        summary.exposure = result.exposure
    summary.photos = _write_photos(scene, result)
    summary.notes = notes.as_list()
    return summary


def _write_photos(scene: bpy.types.Scene, result: FitResult) -> list[str]:
    """Exposure and white balance of each photo into the photo list; photos that are not listed are left out."""
    listed = {item.name: item for item in settings(scene).photos}
    written = []
    for photo in result.photos:
        item = listed.get(photo.name)
        if item is not None:
            item.exposure = photo.exposure
            item.white_balance = [float(part) for part in photo.white_balance]
            written.append(photo.name)
    return written


def _check_values(result: FitResult) -> None:
    for image in result.images:
        what = f"fitted {image.socket} of material {image.material!r}"
        if image.socket not in MATERIAL_TARGETS:
            raise SceneError(f"{what}: no such socket; it is one of {', '.join(MATERIAL_TARGETS)}")
        if image.pixels.ndim != 3 or image.pixels.shape[2] not in (1, 3) or not image.pixels.size:
            raise SceneError(f"{what} has pixels of shape {image.pixels.shape} instead of height, width, 1 or 3")
        _check_finite(image.pixels, what)
    for light in result.lights:
        _check_finite(np.append(light.color, light.energy), f"fitted light {light.data_name!r}")
    if result.world is not None:
        _check_finite(np.append(result.world.color, result.world.strength), "fitted world")
        if result.world.pixels is not None:
            _check_finite(result.world.pixels, "fitted environment image")


def _check_finite(values: np.ndarray, what: str) -> None:
    if not np.isfinite(values).all():
        raise SceneError(f"{what} holds NaN or infinite values and was not written. Fit again with fewer targets")
