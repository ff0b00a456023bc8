# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture as a whole: what every render must hold to. Comparisons with Cycles are in test_forward.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine import render as render_module
from likeness.engine.errors import EngineMissingError, SceneError
from likeness.engine.render import render, resolve_device, world_image
from likeness.engine.scene import Film, Image, Light, Scene, World
from tests.engine.shading.by_hand import looking_down, matte, plane, scene_of

SKY = np.array([0.2, 0.3, 0.4], np.float32)


def lamp(energy: float = 50.0) -> Light:
    matrix = np.eye(4)
    matrix[2, 3] = 3.0
    return Light("Lamp", "Lamp", "POINT", matrix, energy, np.array([1.0, 0.5, 0.25], np.float32))


def small_plane(**more: object) -> Scene:
    """A plane of one metre before a camera that sees two."""
    return scene_of([plane(1.0)], [matte(0.5)], [lamp()], world=World(color=SKY), **more)


def test_closed_form() -> None:
    """Lambert under a point light of size 0 and a uniform sky: no noise in the light, hardly any in the sky."""
    found = render(scene_of([plane(20.0)], [matte(0.5)], [lamp()], world=World(color=SKY)), "Camera", 9, 9, samples=256)
    x = (np.arange(9) + 0.5) / 9 * 2 - 1
    distance2 = x[None] ** 2 + x[:, None] ** 2 + 9.0
    cosine = 3.0 / np.sqrt(distance2)
    direct = 50.0 * cosine / (4 * np.pi * distance2)
    expected = 0.5 / np.pi * direct[..., None] * [1.0, 0.5, 0.25] + 0.5 * SKY
    assert found[..., :3] == pytest.approx(expected, rel=0.02)
    assert found[..., 3] == pytest.approx(np.ones((9, 9)), abs=1e-6)


def test_film() -> None:
    """Transparent background has premultiplied alpha 0; film exposure multiplies radiance but not alpha."""
    opaque = render(small_plane(), "Camera", 16, 16, samples=4)
    assert opaque[0, 0, :3] == pytest.approx(SKY, rel=1e-5)
    clear = render(small_plane(film=Film(transparent=True)), "Camera", 16, 16, samples=4)
    assert np.array_equal(clear[0, 0], np.zeros(4))
    assert clear[8, 8] == pytest.approx(opaque[8, 8])
    edge = clear[8, 4]
    assert 0 < edge[3] < 1
    assert edge[:3] / edge[3] == pytest.approx(clear[8, 8, :3], rel=0.3)
    bright = render(small_plane(film=Film(exposure=2.5)), "Camera", 16, 16, samples=4)
    assert bright[..., :3] == pytest.approx(2.5 * opaque[..., :3], rel=1e-5)
    assert np.array_equal(bright[..., 3], opaque[..., 3])


def test_row_0_is_the_bottom() -> None:
    scene = scene_of([plane(1.0)], [matte(0.0, 1.0)])
    scene.meshes[0].positions[:, 1] += 0.5  # up in the picture
    scene.meshes[0].positions[:, 0] -= 0.5  # and left
    found = render(scene, "Camera", 8, 8, samples=4)[..., 0]
    assert found[5:7, 1:3] == pytest.approx(np.ones((2, 2)), rel=1e-5)
    assert not found[1:3, 5:7].any()


def test_same_seed_same_picture_other_seed_other_noise() -> None:
    arguments = {"camera": "Camera", "width": 12, "height": 8, "samples": 4}
    first = render(small_plane(), **arguments, seed=1)
    assert np.array_equal(first, render(small_plane(), **arguments, seed=1))
    assert not np.array_equal(first, render(small_plane(), **arguments, seed=2))


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pictures are rendered in bands; without sampled light the pieces fit exactly."""
    scene = small_plane()
    scene.world.color = np.zeros(3, np.float32)
    whole = render(scene, "Camera", 17, 13, samples=4, direct_only=True)
    monkeypatch.setattr(render_module, "CELLS_AT_ONCE", 500)
    assert render(scene, "Camera", 17, 13, samples=4, direct_only=True) == pytest.approx(whole, abs=1e-6)


def test_direct_only_has_no_reflections() -> None:
    wall = plane(4.0, material="Wall", name="Wall")
    wall.positions = wall.positions[:, [2, 0, 1]] + np.array([-1.2, 0.0, 1.0], np.float32)
    wall.corner_normals = wall.corner_normals[..., [2, 0, 1]]
    lid = plane(4.0, z=3.0, name="Lid")
    below = np.eye(4)
    below[2, 3] = 2.0
    spot = Light("Spot", "Spot", "SPOT", below, 50.0, np.ones(3), spot_size=2.0)
    below[:3, :3] = np.diag([1.0, -1.0, -1.0])  # shines at the lid
    scene = scene_of([plane(4.0), wall, lid], [matte(0.5), matte(0.5, name="Wall")], [spot])
    scene.cameras["Camera"] = looking_down(1.5)
    assert not render(scene, "Camera", 8, 8, samples=16, direct_only=True)[..., :3].any()
    assert render(scene, "Camera", 8, 8, samples=16)[..., 0].min() > 0
    scene.film.bounces = 0
    assert not render(scene, "Camera", 8, 8, samples=16)[..., :3].any()


def test_unknown_camera() -> None:
    with pytest.raises(SceneError, match=r'no camera "Kamera ä".*"Camera"'):
        render(small_plane(), "Kamera ä", 8, 8)


def test_only_background() -> None:
    camera = looking_down()
    camera.matrix[2, 3] = -4.0  # below the plane, which then lies behind it
    scene = small_plane(cameras={"Camera": camera})
    found = render(scene, "Camera", 8, 8, samples=4)
    assert found[..., :3] == pytest.approx(np.broadcast_to(SKY, (8, 8, 3)), rel=1e-5)


def test_device() -> None:
    assert resolve_device("cpu") == "cpu"
    if torch.cuda.is_available():
        assert resolve_device("auto") == "cuda:0"
    else:
        assert resolve_device("auto") == "cpu"
        with pytest.raises(EngineMissingError, match="--device cpu"):
            resolve_device("cuda")


def test_world_image() -> None:
    scene = small_plane()
    scene.world.strength = 2.0
    assert world_image(scene, "cpu").numpy() == pytest.approx(2 * SKY.reshape(1, 1, 3))
    scene.images["Sky"] = Image("Sky", np.full((2, 4, 4), 0.5, np.float32), "sRGB")
    scene.world.image = "Sky"
    assert world_image(scene, "cpu").numpy() == pytest.approx(np.full((2, 4, 3), 2 * 0.21404114), rel=1e-5)
