# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that follow from the scene, against Cycles: all but the object made a holdout, alpha is what is seen of it."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from likeness.bridge.read_scene import read_scene
from likeness.engine.errors import PhotoError
from likeness.engine.photo_masks import apply_object_masks
from likeness.engine.photo_views import PhotoPyramid
from likeness.engine.preflight import preflight
from likeness.engine.render import Renderer
from likeness.engine.result import FitSettings, Target
from likeness.engine.run import run_fit
from likeness.engine.scene import Photo, Scene
from tests.scenes import build
from tests.scenes.cycles import render_cycles

SIZES = [(64, 48), (36, 60)]


def balls() -> bpy.types.Object:
    """Two balls, one partly before the other, on a table; returns the camera."""
    build.new_scene()
    material = build.add_material("Grey")
    build.add_plane("Table", material, size=4.0)
    build.add_sphere("Ball ä", material, 0.6, (0.0, 0.0, 0.6), rows=24, columns=48)
    build.add_sphere("Front", material, 0.3, (-0.6, -0.9, 0.5), rows=24, columns=48)
    return build.add_camera("Camera", (-1.8, -2.6, 1.9), (0.0, 0.0, 0.4), lens=35.0)


def with_photo(size: tuple[int, int], name: str, mask: np.ndarray | None = None) -> Scene:
    scene = read_scene(bpy.context.scene)
    grey = np.full((size[1], size[0], 3), 0.5, np.float32)
    scene.photos = [Photo("Camera", "", name="a", pixels=grey, mask=mask, full_size=size, mask_object=name)]
    return scene


@pytest.mark.parametrize("size", SIZES)
def test_an_object_mask_is_what_cycles_sees_of_it(tmp_path: Path, size: tuple[int, int]) -> None:
    camera = balls()
    scene = with_photo(size, "Ball ä")
    apply_object_masks(Renderer(scene, "cpu"))
    bpy.context.scene.render.film_transparent = True
    for obj in bpy.data.objects:
        obj.is_holdout = obj.name in ("Table", "Front")
    alpha = render_cycles(bpy.context.scene, camera, tmp_path / "a.exr", width=size[0], height=size[1], samples=256,
                          direct_only=True)[..., 3]  # fmt: skip
    mask = scene.photos[0].mask
    assert mask is not None
    assert 0.1 < alpha.mean() < 0.6
    # 16 rays of the engine and 256 of Cycles a pixel; the whole is exact to a pixel in a thousand
    assert np.abs(mask - alpha).max() < 0.15
    assert np.abs(mask - alpha).mean() < 0.005
    assert mask.mean() == pytest.approx(alpha.mean(), abs=1e-3)
    # the fit compares nothing else
    weight = PhotoPyramid(scene, scene.photos[0], "cpu").level(0).weight
    assert torch.equal(weight, torch.from_numpy(mask))


def test_other_masks_count_as_well() -> None:
    balls()
    left = np.zeros((48, 64), np.float32)
    left[:, :32] = 1.0
    scene = with_photo((64, 48), "Ball ä", left)
    apply_object_masks(Renderer(scene, "cpu"))
    mask = scene.photos[0].mask
    assert mask is not None
    assert mask[:, 32:].max() == 0 < mask[:, :32].max()


def test_what_is_around_the_object_does_not_matter(tmp_path: Path) -> None:
    balls()
    build.add_light("POINT", (1.6, -1.2, 2.8), energy=300.0, name="Lamp")
    seen = with_photo((64, 48), "Ball ä")
    apply_object_masks(Renderer(seen, "cpu"))
    mask = seen.photos[0].mask
    assert mask is not None
    results = []
    for name, around in (("a.png", 0), ("b.png", 255)):
        pixels = np.full((48, 64, 3), (180, 90, 60), np.uint8)
        pixels[mask[::-1] == 0] = around
        PillowImage.fromarray(pixels).save(tmp_path / name)
        scene = read_scene(bpy.context.scene)
        scene.photos = [Photo("Camera", str(tmp_path / name), name="a", mask_object="Ball ä")]
        settings = FitSettings([Target("base_color")], iterations=4, resolution=64, texture_size=16, device="cpu")
        results.append(run_fit(scene, settings, None))
    assert np.array_equal(results[0].photos[0].mask, mask)
    first, second = ({image.material: image.pixels for image in result.images} for result in results)
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert results[0].photos[0].psnr_after == results[1].photos[0].psnr_after


def test_an_object_out_of_sight_is_a_named_error() -> None:
    balls()
    bpy.data.objects["Ball ä"].location.z = -50.0
    scene = with_photo((64, 48), "Ball ä")
    with pytest.raises(PhotoError, match='"Camera" does not see its mask object "Ball ä"'):
        apply_object_masks(Renderer(scene, "cpu"))
    scene.photos[0].path = __file__
    settings = FitSettings([Target("base_color")])
    preflight(scene, settings)
    scene.photos[0].mask_object = "Camera"
    with pytest.raises(PhotoError, match='mask object "Camera" has no surface'):
        preflight(scene, settings)
