# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: a :class:`engine.result.FitResult` becomes images, nodes, lights and a world.

Everything is checked, and all images are made, before the first existing datablock changes; so an error leaves the
file as it was. Images that an earlier apply made are removed once nothing uses them, so that fits do not pile up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import bpy
import numpy as np

from ..engine.errors import SceneError
from ..engine.result import MATERIAL_TARGETS, FitResult, FittedImage, PhotoResult
from ..engine.scene import Note
from . import session, snapshots
from .invert_chain import Place, place_in_chain
from .notes import Notes, label
from .photo_list import settings
from .write_camera import check_cameras, write_cameras
from .write_image import image_name, made_for, mark, new_image, write_fitted_image
from .write_material import MaterialTarget, check_material, entry_of, write_socket
from .write_world import check_world, environment_pixels, find_light, write_light, write_world


@dataclass
class WriteSummary:
    """What changed in the file, by datablock name; ``notes`` say what was replaced or bypassed."""

    images: list[str] = field(default_factory=list)
    materials: list[str] = field(default_factory=list)
    lights: list[str] = field(default_factory=list)
    cameras: list[str] = field(default_factory=list)
    world: str | None = None
    photos: list[str] = field(default_factory=list)
    exposure: float | None = None
    notes: list[Note] = field(default_factory=list)


def write_result(scene: bpy.types.Scene, result: FitResult, keep_before: bool = False) -> WriteSummary:
    """Write a fit into the open file; saving it is up to the caller.

    Emission images hold radiance: Emission Strength becomes 1. Coverage maps become images with a fake user, for
    the artist to look at; those of the apply before give way. With ``keep_before`` the state before is kept for
    Before/After (:mod:`.snapshots`); what an earlier apply kept is removed in any case. Raises :class:`SceneError`
    where a datablock is gone, linked from another file or not writable, and outside of Object Mode; nothing has changed
    then.
    """
    _check_values(result)
    session.require_object_mode()
    if scene.library is not None:
        raise SceneError(f"{label(scene)} is linked from another file. Open that file to apply the result")
    targets = {name: check_material(name) for name in dict.fromkeys(image.material for image in result.images)}
    snapshots.refuse_hidden(scene, [target.material for target in targets.values()])
    lights = [(find_light(fitted.data_name), fitted) for fitted in result.lights]
    cameras = check_cameras(scene, result.cameras)
    if result.world is not None:
        check_world(scene.world)
    listed = {item.name for item in settings(scene).photos}
    photos = [photo for photo in result.photos if photo.name in listed]

    places = [_place(targets[fitted.material], fitted, result) for fitted in result.images]
    images, coverage, environment = _make_images(scene, result, places)
    made = [*images, *([environment] if environment else []), *coverage]
    snapshots.clear(scene)
    world = result.world is not None
    materials = [target.material for target in targets.values()]
    replaced = [image for material in materials for image in snapshots.images_of(material)]
    if world and scene.world is not None:
        replaced += snapshots.images_of(scene.world)
    if keep_before:
        names = [photo.name for photo in photos]
        exposure = result.exposure is not None
        snapshots.keep(scene, materials, [light for light, _ in lights], names, world, exposure)
        snapshots.keep_cameras(scene, [camera for camera, _ in cameras])

    notes = Notes()
    summary = WriteSummary(images=[image.name_full for image in made], materials=list(targets))
    for fitted_image, image, place in zip(result.images, images, places, strict=True):
        write_socket(targets[fitted_image.material], fitted_image.socket, image, notes, place)
    for light, fitted_light in lights:
        write_light(light, fitted_light)
        summary.lights.append(light.name_full)
    summary.cameras = write_cameras(scene, cameras, notes)
    if result.world is not None:
        summary.world = write_world(scene, result.world, environment, notes)
        snapshots.note_world(scene)
    if result.exposure is not None:
        scene.view_settings.exposure = result.exposure
        summary.exposure = result.exposure
    summary.photos = _write_photos(scene, photos)
    summary.notes = notes.as_list()
    snapshots.remove_unused(replaced)
    return summary


def _place(target: MaterialTarget, fitted: FittedImage, result: FitResult) -> Place | None:
    """Where in the artist's nodes an image goes; None where its socket has none."""
    entry = entry_of(target, fitted.socket)
    return (
        None if entry is None else place_in_chain(target.material, entry, fitted, result.coverage.get(fitted.material))
    )


def _make_images(
    scene: bpy.types.Scene, result: FitResult, places: list[Place | None]
) -> tuple[list[bpy.types.Image], list[bpy.types.Image], bpy.types.Image | None]:
    """New images of sockets, of coverage, and of the environment where one is needed; all or none of them."""
    images: list[bpy.types.Image] = []
    coverage: list[bpy.types.Image] = []
    environment = None
    try:
        for fitted_image, place in zip(result.images, places, strict=True):
            images.append(write_fitted_image(fitted_image if place is None else place.image))
        pixels = environment_pixels(scene.world, result.world) if result.world is not None else None
        if pixels is not None:
            owner = scene.world.name_full if scene.world is not None else "World"
            environment = new_image(image_name(owner, "environment"), pixels, "Linear Rec.709", 32)
            mark(environment, owner, "environment")
        for name, seen in result.coverage.items():
            image = new_image(image_name(name, "coverage"), seen[..., None].clip(0, 1), "Non-Color", 8)
            coverage.append(image)
    except BaseException:
        for image in [*images, *coverage, *([environment] if environment else [])]:
            bpy.data.images.remove(image)
        raise
    for name, image in zip(result.coverage, coverage, strict=True):
        old = made_for(name, "coverage")
        for one in old:
            one.use_fake_user = False
        snapshots.remove_unused(old)
        image.use_fake_user = True
        mark(image, name, "coverage")
    return images, coverage, environment


def _write_photos(scene: bpy.types.Scene, photos: list[PhotoResult]) -> list[str]:
    """Exposure and white balance of listed photos into the photo list."""
    listed = {item.name: item for item in settings(scene).photos}
    for photo in photos:
        listed[photo.name].exposure = photo.exposure
        listed[photo.name].white_balance = [float(part) for part in photo.white_balance]
    return [photo.name for photo in photos]


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
