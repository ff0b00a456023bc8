# SPDX-License-Identifier: GPL-3.0-or-later
"""The radiance cache: its tree against a slow search, and light that is reflected many times against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import warp as wp

from likeness.engine.camera import Projection
from likeness.engine.ops.launch import launch
from likeness.engine.render import Renderer
from likeness.engine.scene import Camera, Film, Light
from likeness.engine.shading.gather import SampleCounts
from likeness.engine.shading.radiance_cache import CacheArrays, Tree, leaf_of
from likeness.engine.view import build_view

from .by_hand import inside_of_box, inside_of_sphere, matte, scene_of, tensor, unit

SIZE = 8


@wp.kernel(enable_backward=False)
def _leaf_kernel(
    start: int,
    slot: int,
    cache: CacheArrays,
    position: wp.array(dtype=wp.vec3),
    normal: wp.array(dtype=wp.vec3),
    leaf: wp.array(dtype=wp.int32),
):
    i = start + wp.tid()
    leaf[i] = leaf_of(cache, position[i], normal[i])


def leaves(tree: Tree, position: torch.Tensor, normal: torch.Tensor) -> np.ndarray:
    nothing, leaf = torch.zeros(len(tree.axis), 3), torch.zeros(len(position), dtype=torch.int32)
    points = [wp.from_torch(x, dtype=wp.vec3) for x in (position, normal)]
    launch(_leaf_kernel, len(position), [tree.arrays(nothing, nothing), *points, wp.from_torch(leaf)], "cpu")
    return leaf.numpy()


def points_on_a_thin_box(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random points on both sides of a sheet of hardly any thickness, and their normals."""
    random = np.random.default_rng(4)
    side = random.integers(0, 2, count) * 2.0 - 1.0
    position = np.stack([*random.uniform(-1, 1, (2, count)), 1e-3 * side], axis=-1)
    return tensor(position), tensor(np.stack([0 * side, 0 * side, side], axis=-1))


def test_leaves_hold_what_is_alike() -> None:
    position, normal = points_on_a_thin_box(4000)
    tree = Tree.over(position, normal)
    leaf = leaves(tree, position, normal)
    used = np.unique(leaf)
    assert len(used) > 200
    assert (tree.axis.numpy()[used] == -1).all()
    for node in used:
        inside = leaf == node
        assert np.ptp(normal.numpy()[inside], axis=0).max() == 0, "a leaf must not reach through the sheet"
        assert np.ptp(position.numpy()[inside], axis=0).max() < 0.5


def test_means_of_leaves() -> None:
    """Against a loop; a leaf takes a little of its parent's mean."""
    position, normal = points_on_a_thin_box(500)
    tree = Tree.over(position, normal)
    leaf = leaves(tree, position, normal)
    values = tensor(np.random.default_rng(5).uniform(0, 1, (500, 3)))
    means = tree.means(torch.from_numpy(leaf).long(), values).numpy()
    parent = tree.parent.numpy()
    for node in np.unique(leaf):
        family = np.isin(leaf, np.flatnonzero(parent == parent[node]))
        own = values.numpy()[leaf == node]
        expected = (own.sum(0) + 2.0 * values.numpy()[family].mean(0)) / (len(own) + 2.0)
        assert means[node] == pytest.approx(expected, rel=1e-5)


def lit(renderer: Renderer, place: tuple[float, float, float], seed: int = 5) -> np.ndarray:
    """Radiance [P] of what a camera inside of something sees, by one traced reflection and the cache."""
    matrix = np.eye(4)
    matrix[:3, 3] = place
    projection = Projection.of(Camera("Camera", matrix, lens=18.0), SIZE, SIZE)
    view = build_view(renderer.corners, projection, margin=0)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    world = renderer.world()
    renderer.remember_light(world, [projection], 2048, seed)
    renderer.gather(view, surfaces, world, SampleCounts(16, 0, 64, 1), seed)
    return renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)[:, 0].double().numpy()


@pytest.mark.parametrize("bounces", [1, 2, 3, 4, 8])
def test_glowing_box(bounces: int) -> None:
    """Closed box of albedo r and emission e: what has been reflected k times adds e r^k, up to the first reflection
    and as many more as are allowed."""
    albedo, emission = 0.6, 0.5
    film = Film(bounces=bounces)
    renderer = Renderer(scene_of([inside_of_box(1.0, "Matte")], [matte(albedo, emission)], film=film), "cpu")
    found = lit(renderer, (0.2, -0.1, 0.4))
    assert found.mean() == pytest.approx(emission * sum(albedo**k for k in range(bounces + 2)), rel=1e-2)


@pytest.mark.parametrize("bounces", [2, 5])
def test_lamp_in_a_sphere(bounces: int) -> None:
    """Every point of a Lambert sphere sees every other with the same form factor: reflected light is uniform."""
    albedo, size = 0.8, 2.0
    lamp = Light("Lamp", "Lamp", "POINT", np.eye(4), 60.0, np.ones(3), radius=0.2, soft_falloff=False)
    sphere = inside_of_sphere(size, "Matte")
    scene = scene_of([sphere], [matte(albedo)], [lamp], film=Film(bounces=bounces))
    found = lit(Renderer(scene, "cpu"), (0.0, 0.0, 0.9))
    once = albedo * 60.0 / (4 * np.pi * size**2) / np.pi
    assert found.mean() == pytest.approx(once * sum(albedo**k for k in range(bounces + 1)), rel=1e-2)


def test_same_seed_same_light() -> None:
    lamp = Light("Lamp", "Lamp", "POINT", np.eye(4), 60.0, np.ones(3), radius=0.2)
    lamp.matrix[:3, 3] = unit(np.array([0.3, 0.2, 0.5]))
    renderer = Renderer(scene_of([inside_of_box(1.5, "Matte")], [matte(0.7)], [lamp]), "cpu")
    first = lit(renderer, (0.2, -0.1, 0.4))
    assert np.array_equal(first, lit(renderer, (0.2, -0.1, 0.4)))
    assert not np.array_equal(first, lit(renderer, (0.2, -0.1, 0.4), seed=6))
