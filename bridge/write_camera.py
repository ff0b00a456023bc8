# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitted poses and lenses -> camera objects and their datablocks; a photo without its lens' distortion.

Blender's cameras do not distort. The coefficients are kept as a custom property of the camera datablock, from which the
next fit reads them, and a straightened copy of the photo becomes the camera's background.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ..engine.camera import Projection, distort
from ..engine.errors import LikenessError, SceneError
from ..engine.result import FittedCamera
from ..engine.scene import Camera
from . import photo_camera, photo_files, versions
from .notes import Notes
from .photo_list import settings
from .read_camera import DISTORTION, camera_keys, lens_obstacle, pose_obstacle
from .write_image import image_name, mark, new_image

_PURPOSE = "undistorted"


def check_cameras(scene: bpy.types.Scene, fitted: list[FittedCamera]) -> list[tuple[bpy.types.Object, FittedCamera]]:
    """The objects that the result is meant for. Raises :class:`SceneError` where one is gone or cannot be written."""
    objects = {key: obj for obj, key in camera_keys(scene).items()}
    found = []
    for one in fitted:
        obj = objects.get(one.name)
        if obj is None:
            raise SceneError(f'Camera "{one.name}" is not in scene "{scene.name}" any more. Fit again')
        reasons = [pose_obstacle(obj)] if "camera" in one.free else []
        if set(one.free) - {"camera"}:
            reasons.append(lens_obstacle(obj.data))
        if any(reasons):
            raise SceneError(" ".join(filter(None, reasons)))
        numbers = [*np.ravel(one.matrix), one.lens, one.shift_x, one.shift_y, one.ortho_scale, *(one.distortion or ())]
        if not np.isfinite(numbers).all() or not one.lens > 0 or not one.ortho_scale > 0:
            raise SceneError(
                f'Fitted camera "{one.name}" holds values that are no camera and was not written. Fit again'
            )
        found.append((obj, one))
    return found


def write_cameras(
    scene: bpy.types.Scene, cameras: list[tuple[bpy.types.Object, FittedCamera]], notes: Notes
) -> list[str]:
    """Write what was free of each camera; returns the names of the objects."""
    for obj, fitted in cameras:
        if "camera" in fitted.free:
            scale = Matrix.Diagonal((*obj.matrix_world.to_scale(), 1.0))
            obj.matrix_world = Matrix(np.asarray(fitted.matrix, np.float64).tolist()) @ scale
        data = obj.data
        if "lens" in fitted.free:
            # a lens in degrees is the same number, shown differently
            data.lens, data.ortho_scale = fitted.lens, fitted.ortho_scale
        if "shift" in fitted.free:
            data.shift_x, data.shift_y = fitted.shift_x, fitted.shift_y
        if "distortion" in fitted.free and fitted.distortion is not None:
            set_distortion(data, fitted.distortion)
            _show_straight(scene, obj, fitted, notes)
    return [obj.name_full for obj, _ in cameras]


def set_distortion(data: bpy.types.Camera, coefficients: list[float] | None) -> None:
    """Keep k1, k2, p1, p2, k3 with a camera datablock; None: it has none any more."""
    if coefficients is None:
        if DISTORTION in data:
            del data[DISTORTION]
    else:
        data[DISTORTION] = [float(value) for value in coefficients]


def _show_straight(scene: bpy.types.Scene, obj: bpy.types.Object, fitted: FittedCamera, notes: Notes) -> None:
    """Make a straightened copy of the camera's first photo its background."""
    item = next((item for item in settings(scene).photos if item.camera == obj and item.enabled), None)
    if item is None:
        return
    try:
        image = _straightened(item, obj.data, fitted, scene)
    except LikenessError as error:
        notes.approximated(obj, f"its background shows the distorted photo: {error}")
        return
    photo_camera.show_image(scene, obj.data, image)


def _straightened(item: Any, data: bpy.types.Camera, fitted: FittedCamera, scene: bpy.types.Scene) -> bpy.types.Image:
    """A packed image of what a lens without distortion would have taken, with a copy of it saved beside the photo."""
    path = Path(photo_files.absolute_path(item.path))
    pixels = photo_camera.upright_pixels(item)
    height, width = pixels.shape[:2]
    camera = Camera(
        fitted.name, np.eye(4), data.type, data.lens, data.sensor_width, data.sensor_height, data.sensor_fit,
        data.shift_x, data.shift_y, data.ortho_scale,
    )  # fmt: skip
    aspect = scene.render.pixel_aspect_x, scene.render.pixel_aspect_y
    projection = Projection.of(camera, width, height, aspect)
    assert fitted.distortion is not None
    image = new_image(image_name(path.stem, _PURPOSE), straightened(pixels, projection, fitted.distortion), "sRGB", 8)
    mark(image, path.stem, _PURPOSE)
    with suppress(RuntimeError):  # a folder that cannot be written to: the image is in the .blend anyhow
        image.file_format = "PNG"
        versions.save_image_copy(image, str(path.with_name(f"{path.stem} {_PURPOSE}.png")))
    return image


def straightened(pixels: np.ndarray, projection: Projection, coefficients: list[float]) -> np.ndarray:
    """Pixels [H, W, C] as a lens without distortion shows them: bilinear; black where the lens saw nothing."""
    height, width = pixels.shape[:2]
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    across, up = distort(*projection.slopes(x, y), coefficients)
    column = width / 2 + projection.focal[0] * across - projection.offset[0] - 0.5
    row = height / 2 + projection.focal[1] * up - projection.offset[1] - 0.5
    left = np.clip(np.floor(column), 0, width - 2).astype(int)
    low = np.clip(np.floor(row), 0, height - 2).astype(int)
    a, b = (np.clip(column - left, 0, 1)[..., None], np.clip(row - low, 0, 1)[..., None])
    bottom = pixels[low, left] * (1 - a) + pixels[low, left + 1] * a
    top = pixels[low + 1, left] * (1 - a) + pixels[low + 1, left + 1] * a
    seen = (column >= -0.5) & (column <= width - 0.5) & (row >= -0.5) & (row <= height - 0.5)
    return np.where(seen[..., None], bottom * (1 - b) + top * b, 0.0).astype(np.float32)
