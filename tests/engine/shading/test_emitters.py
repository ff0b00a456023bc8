# SPDX-License-Identifier: GPL-3.0-or-later
"""Surfaces that glow as lights: against the closed forms of the light that polygons and spheres send to a point."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.engine.camera import Projection
from likeness.engine.render import Renderer
from likeness.engine.scene import Camera, Image, Material, Socket, Texture, colour, scalar
from likeness.engine.shading.gather import SampleCounts, capacity
from likeness.engine.view import View, build_view

from .by_hand import inside_of_sphere, matte, plane, quad, scene_of, unit

SIZE = 6
STRATEGIES = {
    "emitters": SampleCounts(light=0, environment=0, bsdf=0, bounces=0, emitter=16),
    "bsdf": SampleCounts(light=0, environment=0, bsdf=16, bounces=0, emitter=0),
    "both": SampleCounts(light=0, environment=0, bsdf=8, bounces=0, emitter=8),
}
PANEL = np.array([(-0.6, -0.3, 1.1), (-0.5, 0.7, 1.2), (0.7, 0.6, 0.8), (0.6, -0.4, 0.9)])


def from_above() -> Camera:
    """A camera below the panel that sees a square of the floor."""
    matrix = np.eye(4)
    matrix[2, 3] = 0.7
    return Camera("Camera", matrix, kind="ORTHO", ortho_scale=1.6, clip_start=0.01)


def irradiance(position: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """On a floor at points [N, 3] under a polygon [K, 3] of radiance 1 (Lambert): edge angles times the height of the
    normals of their planes, halved."""
    to = unit(polygon[None] - position[:, None])
    following = np.roll(to, -1, axis=1)
    angle = np.arccos(np.clip((to * following).sum(-1), -1, 1))
    return np.abs((angle * unit(np.cross(to, following))[..., 2]).sum(1)) / 2


def gathered(renderer: Renderer, counts: SampleCounts, seeds: int) -> tuple[View, np.ndarray, np.ndarray]:
    """The floor's pixels, their mean radiance [P] over seeds and its standard error."""
    projection = Projection.of(renderer.scene.cameras["Camera"], SIZE, SIZE)
    view = build_view(renderer.corners, projection, margin=0)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    world = renderer.world()
    pictures = []
    for seed in range(seeds):
        view.samples = None
        renderer.gather(view, surfaces, world, counts, 100 + 7 * seed)
        assert int(view.samples.count.max()) <= capacity(renderer.lights, counts)
        radiance = renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)
        pictures.append(radiance[:, 1].double().numpy())
    stack = np.array(pictures)
    return view, stack.mean(0), stack.std(0) / np.sqrt(seeds)


def assert_unbiased(mean: np.ndarray, error: np.ndarray, expected: np.ndarray) -> None:
    total = np.sqrt((error**2).sum()) / error.size
    assert total < 0.01 * expected.mean()
    assert abs(mean.mean() - expected.mean()) < 5 * total
    assert np.abs(mean - expected).mean() < 3 * error.mean()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("turned", [False, True])
def test_panel(strategy: str, turned: bool) -> None:
    """A slanted panel over a matte floor, which it lights with its front or its back."""
    points = PANEL[::-1] if turned else PANEL
    scene = scene_of(
        [plane(20.0), quad("Panel", points, "Panel")],
        [matte(0.5), matte(0.0, 3.0, name="Panel")],
        cameras={"Camera": from_above()},
    )
    view, mean, error = gathered(Renderer(scene, "cpu"), STRATEGIES[strategy], 48)
    # a quad of two triangles that do not lie in one plane
    shape = irradiance(view.position.double().numpy(), points[[0, 1, 2]])
    shape += irradiance(view.position.double().numpy(), points[[0, 2, 3]])
    assert_unbiased(mean, error, 0.5 / np.pi * 3.0 * shape)


def test_textured_panel() -> None:
    """Each half of the panel glows differently; triangles are drawn by what they emit on the mean."""
    points = np.array([(-1.0, -0.4, 0.9), (1.0, -0.4, 0.9), (1.0, 0.4, 0.9), (-1.0, 0.4, 0.9)])
    pixels = np.ones((1, 2, 4), np.float32)
    pixels[0, 0, :3], pixels[0, 1, :3] = 0.1, 0.9
    panel = matte(0.0, 2.0, name="Panel")
    panel.emission_color = Socket(
        np.ones(3, np.float32), Texture("Halves", interpolation="Closest", extension="EXTEND")
    )
    scene = scene_of(
        [plane(20.0), quad("Panel", points, "Panel")], [matte(0.5), panel],
        cameras={"Camera": from_above()}, images={"Halves": Image("Halves", pixels)},
    )  # fmt: skip
    view, mean, error = gathered(Renderer(scene, "cpu"), STRATEGIES["both"], 48)
    position = view.position.double().numpy()
    halves = [points * [0.5, 1, 1] + [shift, 0, 0] for shift in (-0.5, 0.5)]
    shape = 0.1 * irradiance(position, halves[0]) + 0.9 * irradiance(position, halves[1])
    assert_unbiased(mean, error, 0.5 / np.pi * 2.0 * shape)


def test_hundreds_of_thousands_of_triangles() -> None:
    """A ball of radius r at distance d sends what a disk that faces the point would: pi L (r / d)² times the cosine."""
    ball = inside_of_sphere(0.1, "Ball", rows=320)
    assert len(ball.triangles) > 400_000
    ball.positions += np.array([0.3, 0.2, 1.0], np.float32)
    scene = scene_of([plane(20.0), ball], [matte(0.5), matte(0.0, 40.0, name="Ball")])
    scene.cameras["Camera"] = from_above()
    view, mean, error = gathered(Renderer(scene, "cpu"), STRATEGIES["both"], 64)
    to = np.array([0.3, 0.2, 1.0]) - view.position.double().numpy()
    distance = np.linalg.norm(to, axis=1)
    expected = 0.5 * 40.0 * (0.1 / distance) ** 2 * to[:, 2] / distance
    assert_unbiased(mean, error, expected)


def test_strength_from_a_texture() -> None:
    """A map in Emission Strength counts for rays as it does for the camera."""
    pixels = np.full((1, 1, 4), 2.5, np.float32)
    panel = Material(
        "Panel", colour(0.0, 0.0, 0.0), specular_level=scalar(0.0), emission_color=colour(0.8, 0.4, 0.2),
        emission_strength=Socket(np.ones(1, np.float32), Texture("Strength")),
    )  # fmt: skip
    scene = scene_of(
        [plane(20.0), quad("Panel", PANEL, "Panel")], [matte(0.5), panel],
        cameras={"Camera": from_above()}, images={"Strength": Image("Strength", pixels)},
    )  # fmt: skip
    renderer = Renderer(scene, "cpu")
    constant = matte(0.0, 1.0, name="Panel")
    constant.emission_color = colour(2.0, 1.0, 0.5)
    scene.materials["Panel"] = constant
    counts = STRATEGIES["both"]
    assert gathered(renderer, counts, 2)[1] == pytest.approx(gathered(Renderer(scene, "cpu"), counts, 2)[1], rel=1e-4)
