# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's photo list: adding photos and masks, and reading it as :class:`engine.scene.Photo`.

Paths are stored as given or, once the .blend has a place, relative to it as Blender does ("//photos/1.jpg"), so that a
project folder can move. Files are not opened here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np

from .. import properties
from ..engine.errors import SceneError
from ..engine.scene import Photo
from .notes import Notes
from .photo_files import absolute_path, stored_path
from .read_camera import camera_keys

_LINEAR_SUFFIXES = {".exr", ".hdr"}
_REMEDY = "Choose one in the photo list, or disable the photo"


def settings(scene: bpy.types.Scene) -> Any:
    """``scene.likeness``, registered for this process where the add-on is not enabled."""
    properties.ensure_registered()
    return scene.likeness


def camera_object(scene: bpy.types.Scene, name: str) -> bpy.types.Object:
    """The camera object of that name; a name that no camera has raises :class:`SceneError` with those that exist."""
    cameras = [obj for obj in scene.objects if obj.type == "CAMERA"]
    for obj in cameras:
        if name in (obj.name, obj.name_full):
            return obj
    if not cameras:
        raise SceneError(f'Scene "{scene.name}" has no camera. Add one for each photo, or import cameras')
    available = ", ".join(f'"{obj.name}"' for obj in cameras)
    other = scene.objects.get(name)
    what = f'"{name}" is no camera but a {other.type.title()}' if other else f'there is no camera "{name}"'
    raise SceneError(f'Scene "{scene.name}": {what}. Its cameras are {available}')


def usable_camera(scene: bpy.types.Scene, item: Any) -> bpy.types.Object:
    """The camera of a photo of the list. Raises :class:`SceneError` where it has none that is in the scene."""
    problem = camera_problem(scene, item)
    if problem:
        raise SceneError(f'photo "{item.name}" has {problem}. {_REMEDY}')
    return item.camera


def camera_problem(scene: bpy.types.Scene, item: Any) -> str:
    """What is wrong with the camera of a photo, "" where nothing is.

    A camera that is deleted in the 3D View lives on as long as a photo points to it, outside of the scene.
    """
    if item.camera is None:
        return "no camera"
    return "" if scene in item.camera.users_scene else f'the camera "{item.camera.name}", which is not in the scene'


def add_photo(
    scene: bpy.types.Scene,
    camera_name: str,
    path: str,
    mask: str | None = None,
    enabled: bool = True,
    weight: float | None = None,
    exposure: float | None = None,
    white_balance: Sequence[float] | None = None,
) -> Any:
    """Append a photo to the list, or update the entry that has this camera and file already; returns the entry.

    ``mask``, ``weight``, ``exposure`` (stops) and ``white_balance`` (gains) stay as they are where they are None.
    Raises :class:`SceneError` where no camera has that name.
    """
    camera = camera_object(scene, camera_name)
    listed = settings(scene).photos
    wanted = absolute_path(stored_path(path))
    item = next((item for item in listed if item.camera == camera and absolute_path(item.path) == wanted), None)
    if item is None:
        item = listed.add()
        item.name = unique_name(listed, os.path.splitext(os.path.basename(path))[0])
    item.camera = camera
    item.path = stored_path(path)
    if mask is not None:
        _set_mask(item, mask)
    item.enabled = enabled
    if weight is not None:
        item.weight = weight
    if exposure is not None:
        item.exposure = exposure
    if white_balance is not None:
        item.white_balance = tuple(white_balance)
    return item


def set_mask(scene: bpy.types.Scene, camera_name: str, path: str | None) -> None:
    """Give all photos of a camera a mask, or none. Raises :class:`SceneError` where the camera has no photo."""
    camera = camera_object(scene, camera_name)
    items = [item for item in settings(scene).photos if item.camera == camera]
    if not items:
        raise SceneError(f'camera "{camera_name}" has a mask but no photo. Add its photo first')
    for item in items:
        _set_mask(item, path)


def _set_mask(item: Any, path: str | None) -> None:
    item.mask_path = stored_path(path) if path else ""
    if item.mask_source not in ("AUTO", "FILE") or not path:
        item.mask_source = "AUTO"


def read_photos(scene: bpy.types.Scene, notes: Notes | None = None) -> list[Photo]:
    """All photos of the list with absolute paths; ``pixels`` are loaded by the engine.

    A disabled entry without usable camera or file is left out; an enabled one raises :class:`SceneError`, or is left
    out with an error note where ``notes`` is given.
    """
    photos = []
    keys = camera_keys(scene)
    for number, item in enumerate(settings(scene).photos, 1):
        broken = camera_problem(scene, item) or ("" if item.path else "no file")
        of_object = item.mask_source == "OBJECT"
        if of_object and item.mask_object is None:
            broken = broken or "no mask object"
        if broken:
            if item.enabled and notes is None:
                raise SceneError(f'photo {number} "{item.name}" of scene "{scene.name}" has {broken}. {_REMEDY}')
            if item.enabled and notes is not None:
                notes.error(f'Photo "{item.name}"', f"has {broken} and is left out. {_REMEDY}")
            continue
        from_file = item.mask_source in ("AUTO", "FILE")
        suffix = os.path.splitext(item.path)[1].lower()
        photos.append(
            Photo(
                camera=keys[item.camera],
                path=absolute_path(item.path),
                mask_path=absolute_path(item.mask_path) if item.mask_path and from_file else None,
                name=item.name or os.path.splitext(os.path.basename(item.path))[0],
                enabled=bool(item.enabled),
                weight=float(item.weight),
                exposure=float(item.exposure),
                white_balance=np.array(item.white_balance, np.float32),
                domain="linear" if suffix in _LINEAR_SUFFIXES else "display",
                use_alpha=item.mask_source not in ("NONE", "FILE"),
                mask_object=item.mask_object.name_full if of_object else "",
            )
        )
    return photos


def unique_name(listed: Any, stem: str) -> str:
    """A name that no photo of the list has."""
    taken = {item.name for item in listed}
    if stem not in taken:
        return stem
    return next(f"{stem}.{number:03d}" for number in range(1, len(taken) + 2) if f"{stem}.{number:03d}" not in taken)
