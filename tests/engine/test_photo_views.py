# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pixels of a photo are compared: all that show what is fitted, a fair sample of the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.photo_views import BLOCK, Level, PhotoPyramid
from likeness.engine.render import Renderer
from likeness.engine.scene import Photo
from tests.engine.shading.by_hand import looking_down, matte, plane, scene_of

SIDE = 256


def levels(blocks: int) -> tuple[Level, Level, np.ndarray]:
    """A photo of a small plane on a large one before and after `restrict`, and where the small one is surely seen."""
    scene = scene_of([plane(0.5, 0.1, "Small", "Small"), plane(4.0, 0.0, "Large", "Large")],
                     [matte(0.5, name="Small"), matte(0.5, name="Large")])  # fmt: skip
    scene.cameras["Camera"] = looking_down(scale=2.0)
    grey = np.full((SIDE, SIDE, 3), 0.5, np.float32)
    scene.photos = [Photo("Camera", "", name="Grey", pixels=grey, full_size=(SIDE, SIDE))]
    renderer = Renderer(scene, "cpu")
    row = [material.name for material in renderer.bank.materials].index("Small")
    whole, part = (PhotoPyramid(scene, scene.photos[0], "cpu") for _ in range(2))
    part.restrict(renderer, {row}, {0}, blocks)
    centre = (np.arange(SIDE) + 0.5) / SIDE * 2.0 - 1.0
    inside = np.abs(centre) < 0.25
    return whole.level(0), part.level(0), inside[:, None] & inside


@pytest.mark.parametrize("blocks", [0, 8])
def test_everything_that_is_fitted_is_compared_in_full(blocks: int) -> None:
    whole, part, small = levels(blocks)
    assert torch.equal(part.weight[small], whole.weight[small])
    assert part.wanted is not None
    assert 0 < int(part.wanted.sum()) < 0.6 * SIDE * SIDE


def test_where_light_is_known_the_rest_is_left_out() -> None:
    _, part, small = levels(0)
    near = np.pad(small, 2)[2:-2, 2:-2]
    for axis in (0, 1):
        near = near | np.roll(near, 2, axis) | np.roll(near, -2, axis)
    assert (part.weight.numpy()[~near] == 0).all()


def test_where_light_is_fitted_the_rest_counts_as_much_as_before() -> None:
    """Any smooth picture has about the same weighted mean: the sample is fair, not just as heavy."""
    blocks = 8
    whole, part, small = levels(blocks)
    rest = ~small
    kept = part.weight.numpy()[rest]
    assert set(np.unique(kept)) <= {0.0, 1.0, float(blocks)}
    assert (kept > 0).mean() < 1.5 / blocks
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    for picture in (np.ones_like(x), x, y, x * y):
        wanted = (picture * whole.weight.numpy())[rest].sum()
        # a square stands for the mean of `blocks` squares around: to first order an error of a square's side
        assert (picture * part.weight.numpy())[rest].sum() == pytest.approx(wanted, rel=2 * BLOCK / SIDE)


def test_small_pictures_are_compared_whole() -> None:
    scene = scene_of([plane(4.0)], [matte(0.5)])
    grey = np.full((64, 64, 3), 0.5, np.float32)
    scene.photos = [Photo("Camera", "", name="Grey", pixels=grey, full_size=(64, 64))]
    photo = PhotoPyramid(scene, scene.photos[0], "cpu")
    photo.restrict(Renderer(scene, "cpu"), set(), {0}, 8)
    assert (photo.level(0).weight == 1).all()
