# SPDX-License-Identifier: GPL-3.0-or-later
"""Projection against Blender's own camera matrix and the slow reference, and rays against projection."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.camera import Projection
from likeness.engine.scene import Camera
from tests.engine.shading.by_hand import random_rotation
from tests.reference import camera as reference
from tests.scenes import build

SIZES = [(96, 54), (54, 96), (64, 64), (33, 70)]
ASPECTS = [(1.0, 1.0), (1.5, 1.0), (1.0, 1.3)]


def random_camera(seed: int) -> Camera:
    rng = np.random.default_rng(seed)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = random_rotation(seed), rng.normal(size=3)
    return Camera(
        "Camera",
        matrix,
        kind="ORTHO" if seed % 4 == 3 else "PERSP",
        lens=rng.uniform(18, 90),
        sensor_width=rng.uniform(20, 40),
        sensor_height=rng.uniform(10, 30),
        sensor_fit=("AUTO", "HORIZONTAL", "VERTICAL")[seed % 3],
        shift_x=rng.uniform(-0.3, 0.3),
        shift_y=rng.uniform(-0.3, 0.3),
        ortho_scale=rng.uniform(2, 8),
        clip_start=rng.uniform(0.01, 0.5),
    )


def points_before(camera: Camera, count: int = 50) -> np.ndarray:
    """World points in front of the camera [count, 3]."""
    local = np.random.default_rng(9).uniform((-2, -2, -8), (2, 2, -2), (count, 3))
    return local @ camera.matrix[:3, :3].T + camera.matrix[:3, 3]


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(12))
def test_reference(seed: int, size: tuple[int, int], aspect: tuple[float, float]) -> None:
    camera = random_camera(seed)
    points = points_before(camera)
    found = Projection.of(camera, *size, aspect).project(points)
    assert found[:, :2] == pytest.approx(reference.project(camera, points, *size, aspect), abs=1e-8)
    depth = -((points - camera.matrix[:3, 3]) @ camera.matrix[:3, :3])[:, 2]
    assert found[:, 2] == pytest.approx(depth, abs=1e-10)


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", range(12))
def test_rays_go_through_their_pixels(seed: int, size: tuple[int, int], aspect: tuple[float, float]) -> None:
    camera = random_camera(seed)
    projection = Projection.of(camera, *size, aspect)
    x, y = np.random.default_rng(1).uniform(-5, 100, (2, 40))
    origin, direction = projection.rays(x, y)
    assert np.linalg.norm(direction, axis=-1) == pytest.approx(np.ones(40), abs=1e-12)
    back = projection.project(origin + direction * np.linspace(0.5, 20, 40)[:, None])
    assert back[:, 0] == pytest.approx(x, abs=1e-7)
    assert back[:, 1] == pytest.approx(y, abs=1e-7)
    # Cycles clips camera rays at a plane, not at a sphere
    assert projection.project(origin)[:, 2] == pytest.approx(np.full(40, camera.clip_start), abs=1e-9)


@pytest.mark.parametrize("aspect", ASPECTS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
@pytest.mark.parametrize("kind", ["PERSP", "ORTHO"])
def test_blenders_own_matrix(kind: str, fit: str, size: tuple[int, int], aspect: tuple[float, float]) -> None:
    build.new_scene()
    settings = {"sensor_fit": fit, "sensor_width": 31.0, "sensor_height": 19.0, "shift_x": 0.12, "shift_y": -0.21}
    settings |= {"type": kind, "ortho_scale": 5.0}
    obj = build.add_camera("Camera", (2.0, -5.0, 3.0), (0.1, 0.2, 0.5), lens=42.0, **settings)
    obj.scale = (2.0, 0.5, 3.0)  # Blender ignores the scale of a camera
    bpy.context.view_layer.update()
    camera = read_scene(bpy.context.scene).cameras["Camera"]
    depsgraph = bpy.context.evaluated_depsgraph_get()
    width, height = size
    matrix = np.array(
        obj.calc_matrix_camera(depsgraph, x=width, y=height, scale_x=aspect[0], scale_y=aspect[1]), np.float64
    )
    points = points_before(camera)
    local = (points - camera.matrix[:3, 3]) @ camera.matrix[:3, :3]
    clip = np.concatenate([local, np.ones((len(local), 1))], axis=1) @ matrix.T
    expected = (clip[:, :2] / clip[:, 3:] + 1) / 2 * size
    found = Projection.of(camera, width, height, aspect).project(points)
    assert found[:, :2] == pytest.approx(expected, abs=2e-3)  # Blender computes in float32


def test_points_behind_the_camera_have_negative_depth() -> None:
    camera = Camera("Camera", np.eye(4))
    assert Projection.of(camera, 64, 48).project(np.array([[0.0, 0.0, 2.0]]))[0, 2] == -2.0
