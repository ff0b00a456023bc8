# SPDX-License-Identifier: GPL-3.0-or-later
"""Projection of Blender cameras for any image size (docs/blender-image-formation.md §1).

Image coordinates here are (x, y) in pixels with x to the right and **y up** from the lower left corner, because row 0
of every image is the bottom row; pixel centres lie at integer + 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scene import Camera


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
            x = self.width / 2 + self.focal[0] * local[..., 0] / divisor - self.offset[0]
            y = self.height / 2 + self.focal[1] * local[..., 1] / divisor - self.offset[1]
        return np.stack([x, y, depth], axis=-1)

    def slopes(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Camera-space X and Y at depth 1 of the rays through image coordinates."""
        across = (x - self.width / 2 + self.offset[0]) / self.focal[0]
        return across, (y - self.height / 2 + self.offset[1]) / self.focal[1]

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
