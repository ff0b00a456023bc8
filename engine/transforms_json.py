# SPDX-License-Identifier: GPL-3.0-or-later
"""``transforms.json`` as instant-ngp and nerfstudio write it -> calibrated photos. No Blender, no pixels.

The format: global or per-frame intrinsics ``w h fl_x fl_y cx cy`` (pixels, cx and cy from the upper left corner of the
image), or ``camera_angle_x`` (radians, full); ``frames[].transform_matrix`` is camera-to-world with the camera looking
along -Z, +Y up, as Blender has it; ``file_path`` and ``mask_path`` are relative to the file, the former possibly
without extension. World units and axes are taken as written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import PhotoError, SceneError

_EXTENSIONS = (".png", ".jpg", ".jpeg", ".JPG", ".JPEG", ".PNG", ".tif", ".tiff", ".webp", ".exr")
_PINHOLE_MODELS = {"PINHOLE", "SIMPLE_PINHOLE", "OPENCV", "RADIAL", "SIMPLE_RADIAL", "PERSPECTIVE"}
_DISTORTION = ("k1", "k2", "k3", "k4", "k5", "k6", "p1", "p2")


@dataclass
class CalibratedPhoto:
    """One frame: where the photo is and the pinhole camera that took it."""

    path: Path
    mask_path: Path | None
    width: int  # pixels
    height: int
    focal_x: float  # pixels
    focal_y: float
    centre_x: float  # principal point in pixels, from the left
    centre_y: float  # from the top
    matrix: np.ndarray  # [4, 4] float64 camera-to-world, rotation without scale
    distortion: dict[str, float] = field(default_factory=dict)  # coefficients that are not zero

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixel positions [N, 2] (x right, y **down** from the upper left corner) of world points [N, 3]."""
        x, y, z = ((points - self.matrix[:3, 3]) @ self.matrix[:3, :3]).T
        return np.stack([self.centre_x - self.focal_x * x / z, self.centre_y + self.focal_y * y / z], axis=-1)


def read_transforms(path: Path, image_size: Callable[[Path], tuple[int, int]]) -> list[CalibratedPhoto]:
    """All frames of a file.

    ``image_size`` is asked for width and height of a photo where the file does not name them. Raises
    :class:`SceneError` for a file that is not of this form or holds cameras that are no pinholes, and
    :class:`PhotoError` for a photo that does not exist.
    """
    data = _load(path)
    frames = data.get("frames")
    if not isinstance(frames, list) or not frames:
        raise SceneError(f'{path.name} has no "frames". It must be a transforms.json of instant-ngp or nerfstudio')
    return [_read_frame(path, data, frame, number, image_size) for number, frame in enumerate(frames)]


def _load(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SceneError(f"{path} cannot be read: {error.strerror}. Check the path") from error
    except ValueError as error:
        raise SceneError(f"{path.name} is not valid JSON ({error}). Export the cameras again") from error
    if not isinstance(data, dict):
        raise SceneError(f"{path.name} holds no JSON object. It must be a transforms.json of instant-ngp or nerfstudio")
    return data


def _read_frame(
    source: Path, data: dict[str, Any], frame: Any, number: int, image_size: Callable[[Path], tuple[int, int]]
) -> CalibratedPhoto:
    where = f"{source.name}, frame {number}"
    if not isinstance(frame, dict) or not isinstance(frame.get("file_path"), str):
        raise SceneError(f'{where} has no "file_path"')
    settings = {**data, **frame}
    _check_model(settings, where)
    path = _existing(source.parent, frame["file_path"], where)
    mask = frame.get("mask_path")
    mask_path = _existing(source.parent, mask, where) if isinstance(mask, str) and mask else None

    width, height = (_number(settings, key, where) for key in ("w", "h"))
    if width is None or height is None:
        width, height = image_size(path)
    if width < 1 or height < 1:
        raise SceneError(f"{where}: the image size {width:g} x {height:g} is not positive")
    focal_x = _focal(settings, "fl_x", "camera_angle_x", width, where)
    focal_y = _focal(settings, "fl_y", "camera_angle_y", height, where)
    focal_x, focal_y = focal_x or focal_y, focal_y or focal_x
    if focal_x is None or focal_y is None:
        raise SceneError(f'{where} has no focal length: neither "fl_x" nor "camera_angle_x"')
    centre_x, centre_y = _number(settings, "cx", where), _number(settings, "cy", where)
    coefficients = {key: _number(settings, key, where) for key in _DISTORTION}
    return CalibratedPhoto(
        path=path,
        mask_path=mask_path,
        width=int(width),
        height=int(height),
        focal_x=focal_x,
        focal_y=focal_y,
        centre_x=width / 2 if centre_x is None else centre_x,
        centre_y=height / 2 if centre_y is None else centre_y,
        matrix=_matrix(frame.get("transform_matrix"), where),
        distortion={key: value for key, value in coefficients.items() if value},
    )


def _check_model(settings: dict[str, Any], where: str) -> None:
    model = str(settings.get("camera_model", "PINHOLE")).upper()
    if settings.get("is_fisheye") or model not in _PINHOLE_MODELS:
        name = "fisheye" if settings.get("is_fisheye") else model
        raise SceneError(f"{where}: camera model {name} is not supported. Undistort the photos to pinhole images first")


def _number(settings: dict[str, Any], key: str, where: str) -> float | None:
    value = settings.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise SceneError(f'{where}: "{key}" is {value!r} instead of a number')
    return float(value)


def _focal(settings: dict[str, Any], key: str, angle_key: str, size: float, where: str) -> float | None:
    """Focal length in pixels, from itself or from the full field of view."""
    focal = _number(settings, key, where)
    angle = _number(settings, angle_key, where)
    if focal is None and angle is not None:
        if not 0 < angle < math.pi:
            raise SceneError(f'{where}: "{angle_key}" is {angle:g} rad; it must lie between 0 and pi')
        focal = size / 2 / math.tan(angle / 2)
    if focal is not None and focal <= 0:
        raise SceneError(f'{where}: "{key}" is {focal:g}; a focal length is positive')
    return focal


def _existing(folder: Path, name: str, where: str) -> Path:
    path = folder / name
    if path.is_file():
        return path
    for extension in _EXTENSIONS:
        with_extension = path.with_name(path.name + extension)
        if with_extension.is_file():
            return with_extension
    raise PhotoError(f"{where}: the file {path} does not exist. Put the photos where the file names them")


def _matrix(value: Any, where: str) -> np.ndarray:
    try:
        rows = np.array(value, np.float64)
    except (TypeError, ValueError):
        rows = np.empty(0)
    if rows.shape not in {(3, 4), (4, 4)} or not np.isfinite(rows).all():
        raise SceneError(f'{where}: "transform_matrix" is no 4 x 4 matrix of numbers')
    matrix = np.eye(4)
    matrix[:3] = rows[:3]
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if (lengths < 1e-12).any():
        raise SceneError(f'{where}: "transform_matrix" is singular')
    matrix[:3, :3] /= lengths
    rotation = matrix[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise SceneError(f'{where}: "transform_matrix" mirrors or shears; a camera can only be turned and moved')
    return matrix
