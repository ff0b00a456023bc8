# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's camera and pixel filters in plain numpy float64 (docs/blender-image-formation.md §1).

Pixel coordinates: x right, y **up** from the lower left corner, centres at integer + .5, as row 0 is the bottom row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.engine.scene import Camera

Array = NDArray[np.float64]


def fitted_side(camera: Camera, width: int, height: int, aspect: tuple[float, float]) -> tuple[float, float]:
    """Length of the fitted side in pixel widths, and the sensor size in millimetres that goes with it."""
    ax, ay = aspect
    if camera.sensor_fit == "AUTO":
        horizontal, sensor = width * ax > height * ay, camera.sensor_width
    else:
        horizontal = camera.sensor_fit == "HORIZONTAL"
        sensor = camera.sensor_width if horizontal else camera.sensor_height
    return (float(width) if horizontal else height * ay / ax), sensor


def project(
    camera: Camera, points: ArrayLike, width: int, height: int, aspect: tuple[float, float] = (1.0, 1.0)
) -> Array:
    """World points [..., 3] to pixel coordinates [..., 2]."""
    matrix = np.asarray(camera.matrix, np.float64)
    local = (np.asarray(points, np.float64) - matrix[:3, 3]) @ matrix[:3, :3]
    n, sensor = fitted_side(camera, width, height, aspect)
    if camera.kind == "PERSP":
        plane = local[..., :2] / -local[..., 2:] * n * camera.lens / sensor
    else:
        plane = local[..., :2] * n / camera.ortho_scale
    x = width / 2 + plane[..., 0] - n * camera.shift_x
    y = height / 2 + (plane[..., 1] - n * camera.shift_y) * aspect[0] / aspect[1]
    return np.stack([x, y], axis=-1)


def rays(
    camera: Camera, pixels: ArrayLike, width: int, height: int, aspect: tuple[float, float] = (1.0, 1.0)
) -> tuple[Array, Array]:
    """World-space origins and unit directions [..., 3] through pixel coordinates [..., 2]."""
    matrix = np.asarray(camera.matrix, np.float64)
    pixels = np.asarray(pixels, np.float64)
    n, sensor = fitted_side(camera, width, height, aspect)
    x = (pixels[..., 0] - width / 2) / n + camera.shift_x
    y = (pixels[..., 1] - height / 2) * aspect[1] / aspect[0] / n + camera.shift_y
    if camera.kind == "PERSP":
        origin = np.zeros((*x.shape, 3))
        direction = np.stack([x * sensor / camera.lens, y * sensor / camera.lens, -np.ones_like(x)], axis=-1)
    else:
        origin = np.stack([x, y, np.zeros_like(x)], axis=-1) * camera.ortho_scale
        direction = np.broadcast_to([0.0, 0.0, -1.0], (*x.shape, 3))
    direction = direction @ matrix[:3, :3].T
    return origin @ matrix[:3, :3].T + matrix[:3, 3], direction / np.linalg.norm(direction, axis=-1, keepdims=True)


def blackman_harris(offset: ArrayLike, width: float = 1.5) -> Array:
    """Unnormalised filter weight at ``offset`` pixels from the centre, per axis; support ±width."""
    d = np.asarray(offset, np.float64)
    t = 2 * np.pi * (d / (2 * width) + 0.5)
    value = 0.35875 - 0.48829 * np.cos(t) + 0.14128 * np.cos(2 * t) - 0.01168 * np.cos(3 * t)
    return np.where(np.abs(d) <= width, value, 0.0)


def filter_image(fine: ArrayLike, factor: int, width: float = 1.5) -> Array:
    """Radiance sampled at ``factor`` sub-pixel centres an axis [H f, W f, C] to filtered pixels [H, W, C].

    The window reaches over the border, where Cycles sees more of the scene: pad ``fine`` or ignore the border.
    """
    image = np.asarray(fine, np.float64)
    reach = int(np.ceil(width * factor))
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        count = image.shape[0] // factor
        result = np.zeros((count, *image.shape[1:]))
        for i in range(count):
            centre = (i + 0.5) * factor
            at = np.arange(max(0, int(centre) - reach), min(image.shape[0], int(centre) + reach + 1))
            weight = blackman_harris((at + 0.5 - centre) / factor, width)
            result[i] = np.tensordot(weight / weight.sum(), image[at], axes=1)
        image = np.moveaxis(result, 0, axis)
    return image
