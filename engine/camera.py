# SPDX-License-Identifier: GPL-3.0-or-later
"""Projection of Blender cameras for any image size (docs/blender-image-formation.md §1).

Image coordinates here are (x, y) in pixels with x to the right and **y up** from the lower left corner, because row 0
of every image is the bottom row; pixel centres lie at integer + 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .scene import Camera

# Undistortion ends when nothing moves by more than this share of the focal length, at the latest after so many rounds.
_STILL, _ROUNDS = 1e-10, 50


@dataclass(frozen=True)
class Projection:
    """A camera at one image size.

    The point (X, Y, Z) in camera space (Z < 0) lies at ``x = width / 2 + focal[0] * X / -Z - offset[0]`` and
    ``y = height / 2 + focal[1] * Y / -Z - offset[1]``; an orthographic camera omits the division.
    """

    camera: Camera
    width: int
    height: int
    focal: tuple[float, float]  # pixels (perspective) or pixels per metre (orthographic)
    offset: tuple[float, float]  # pixels

    @classmethod
    def of(cls, camera: Camera, width: int, height: int, pixel_aspect: tuple[float, float] = (1.0, 1.0)) -> Projection:
        """The projection of `camera` in an image of width x height pixels of the given aspect (x, y)."""
        aspect_x, aspect_y = pixel_aspect
        horizontal = camera.sensor_fit == "HORIZONTAL" or (
            camera.sensor_fit == "AUTO" and width * aspect_x > height * aspect_y
        )
        # AUTO always means the sensor's width, for portrait pictures too.
        sensor = camera.sensor_height if camera.sensor_fit == "VERTICAL" else camera.sensor_width
        fitted = width if horizontal else height * aspect_y / aspect_x
        focal = fitted / camera.ortho_scale if camera.kind == "ORTHO" else fitted * camera.lens / sensor
        squeeze = aspect_x / aspect_y
        return cls(
            camera,
            width,
            height,
            (focal, focal * squeeze),
            (fitted * camera.shift_x, fitted * camera.shift_y * squeeze),
        )

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points [..., 3] -> image coordinates and depth along the view axis [..., 3] (x, y, -Z)."""
        world_to_camera = np.linalg.inv(self.camera.matrix)
        local = points @ world_to_camera[:3, :3].T + world_to_camera[:3, 3]
        depth = -local[..., 2]
        divisor = depth if self.camera.kind == "PERSP" else np.ones_like(depth)
        with np.errstate(divide="ignore", invalid="ignore"):
            across, up = local[..., 0] / divisor, local[..., 1] / divisor
            if self.camera.distortion is not None:
                across, up = distort(across, up, self.camera.distortion)
            x = self.width / 2 + self.focal[0] * across - self.offset[0]
            y = self.height / 2 + self.focal[1] * up - self.offset[1]
        return np.stack([x, y, depth], axis=-1)

    def slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """X and Y in camera space at depth 1 of rays through the picture; of one shape if the lens distorts."""
        across = (x - self.width / 2 + self.offset[0]) / self.focal[0]
        up = (y - self.height / 2 + self.offset[1]) / self.focal[1]
        return (across, up) if self.camera.distortion is None else undistort(across, up, self.camera.distortion)

    def rays(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World-space rays through image coordinates: origins and unit directions [..., 3], float64.

        Origins lie on the near clip plane, as Cycles clips camera rays there.
        """
        across, up = self.slopes(x, y)
        minus_one = np.full_like(across, -1.0)
        near = self.camera.clip_start
        if self.camera.kind == "PERSP":
            local_direction = np.stack([across, up, minus_one], axis=-1)
            local_origin = local_direction * near
        else:
            local_direction = np.stack([np.zeros_like(across), np.zeros_like(across), minus_one], axis=-1)
            local_origin = np.stack([across, up, minus_one * near], axis=-1)
        rotation, place = self.camera.matrix[:3, :3], self.camera.matrix[:3, 3]
        directions = local_direction @ rotation.T
        directions = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
        return local_origin @ rotation.T + place, directions


def distort(across: np.ndarray, up: np.ndarray, coefficients: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Where a lens shows what a pinhole shows at X and Y (at depth 1): OpenCV's radial-tangential model.

    ``coefficients`` are k1, k2, p1, p2, k3. OpenCV's y points down, Y here up (Brown 1971; OpenCV, module calib3d).
    """
    k1, k2, p1, p2, k3 = coefficients
    down = -up
    square = across**2 + down**2
    radial = 1 + square * (k1 + square * (k2 + square * k3))
    product = 2 * across * down
    x = across * radial + p1 * product + p2 * (square + 2 * across**2)
    return x, -(down * radial + p1 * (square + 2 * down**2) + p2 * product)


def undistort(across: np.ndarray, up: np.ndarray, coefficients: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of :func:`distort`, by Newton's method with the slope of the radial part.

    Beyond the radius from which on a lens would show things twice there is no answer; such places get the nearest.
    """
    k1, k2, _, _, k3 = coefficients
    x, y = np.array(across, np.float64), np.array(up, np.float64)
    limit = _turning_point(k1, k2, k3)
    for _ in range(_ROUNDS):
        found_x, found_y = distort(x, y, coefficients)
        square = x**2 + y**2
        slope = np.maximum(1 + square * (3 * k1 + square * (5 * k2 + square * 7 * k3)), 0.1)
        step_x, step_y = (across - found_x) / slope, (up - found_y) / slope
        x, y = x + step_x, y + step_y
        shrink = np.minimum(1.0, limit / np.maximum(np.hypot(x, y), 1e-12))
        x, y = x * shrink, y * shrink
        if max(np.abs(step_x).max(initial=0.0), np.abs(step_y).max(initial=0.0)) < _STILL:
            break
    return x, y


def _turning_point(k1: float, k2: float, k3: float) -> float:
    """The radius at which a larger one is shown no further out any more; infinite where there is none."""
    roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(np.sqrt(real.min())) if len(real) else np.inf
