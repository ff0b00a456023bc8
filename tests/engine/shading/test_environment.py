# SPDX-License-Identifier: GPL-3.0-or-later
"""Environment maps: lookup against slow numpy, importance sampling against its own density and against statistics."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import warp as wp

from likeness.engine.ops.launch import launch
from likeness.engine.shading.environment import (
    MAX_SAMPLING_SIDE,
    EnvironmentArrays,
    environment_arrays,
    environment_density,
    equirectangular_direction,
    equirectangular_uv,
    lookup,
    sample_environment,
)
from tests.reference.lights import environment as slow_lookup
from tests.reference.lights import world_samples

from .by_hand import fibonacci_sphere, random_rotation, tensor, unit

HEIGHT, WIDTH = 12, 20


@wp.kernel(enable_backward=False)
def _probe_kernel(
    start: int,
    slot: int,
    environment: EnvironmentArrays,
    direction: wp.array(dtype=wp.vec3),
    radiance: wp.array(dtype=wp.vec3),
    density: wp.array(dtype=wp.float32),
):
    i = start + wp.tid()
    radiance[i] = lookup(environment.image, environment.rotation, direction[i])
    density[i] = environment_density(environment, direction[i])


@wp.kernel(enable_backward=False)
def _sample_kernel(
    start: int,
    slot: int,
    environment: EnvironmentArrays,
    uv: wp.array(dtype=wp.vec2),
    direction: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    direction[i] = sample_environment(environment, uv[i][0], uv[i][1]).direction


@wp.kernel(enable_backward=False)
def _there_and_back_kernel(
    start: int,
    slot: int,
    uv: wp.array(dtype=wp.vec2),
    direction: wp.array(dtype=wp.vec3),
    back: wp.array(dtype=wp.vec2),
):
    i = start + wp.tid()
    direction[i] = equirectangular_direction(uv[i][0], uv[i][1])
    back[i] = equirectangular_uv(direction[i])


def panorama(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A dim random sky with one very bright texel."""
    image = np.random.default_rng(31).uniform(0.0, 1.0, (height, width, 3))
    image[height * 3 // 4, width // 3] = (80.0, 60.0, 20.0)
    return image.astype(np.float32)


def probe(image: np.ndarray, rotation: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radiance [N, 3] and sampling density [N] of the kernels."""
    arrays = environment_arrays(tensor(image), tensor(rotation))
    radiance, density = torch.zeros(len(directions), 3), torch.zeros(len(directions))
    d = tensor(directions)
    inputs = [arrays, wp.from_torch(d, dtype=wp.vec3), wp.from_torch(radiance, dtype=wp.vec3), wp.from_torch(density)]
    launch(_probe_kernel, len(directions), inputs, "cpu")
    return radiance.numpy(), density.numpy()


def drawn(image: np.ndarray, rotation: np.ndarray, count: int) -> np.ndarray:
    """Random directions [count, 3]."""
    arrays = environment_arrays(tensor(image), tensor(rotation))
    uv = torch.rand(count, 2, generator=torch.Generator().manual_seed(7))
    out = torch.zeros(count, 3)
    inputs = [arrays, wp.from_torch(uv, dtype=wp.vec2), wp.from_torch(out, dtype=wp.vec3)]
    launch(_sample_kernel, count, inputs, "cpu")
    return out.numpy().astype(np.float64)


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (HEIGHT, WIDTH)])
def test_lookup(shape: tuple[int, int], seed: int | None) -> None:
    image = panorama(*shape)
    rotation = np.eye(3) if seed is None else random_rotation(seed)
    directions = unit(np.random.default_rng(32).normal(size=(3000, 3)))
    found, _ = probe(image, rotation, directions)
    expected = slow_lookup(image, directions @ rotation.T)
    # a rotation in float32 moves the place by 1e-7 rad, more near the poles, next to a texel of 80
    assert np.abs(found - expected).max() < 2e-4 * image.max()


def test_axes() -> None:
    """Image centre +X, u = .25 +Y, u = .75 -Y, the seam -X, the upper edge +Z."""
    image = np.zeros((8, 16, 3), np.float32)
    image[4:, :] = 1.0  # the upper half
    image[:, 7:9] += 2.0  # around u = .5
    image[:, 3:5] += 4.0  # around u = .25
    directions = np.array([(1, 0, 0.3), (0, 1, -0.3), (0, -1, 0.3), (-1, 0, -0.3), (0, 0.001, 1)], np.float64)
    found, _ = probe(image, np.eye(3), unit(directions))
    assert found[:, 0] == pytest.approx([3.0, 4.0, 1.0, 0.0, found[4, 0]], abs=1e-3)
    assert found[4, 0] >= 1.0


def test_direction_and_coordinates_are_inverse() -> None:
    uv = torch.rand(5000, 2, generator=torch.Generator().manual_seed(1)) * 0.98 + 0.01
    direction, back = torch.zeros(5000, 3), torch.zeros(5000, 2)
    inputs = [
        wp.from_torch(uv, dtype=wp.vec2),
        wp.from_torch(direction, dtype=wp.vec3),
        wp.from_torch(back, dtype=wp.vec2),
    ]
    launch(_there_and_back_kernel, 5000, inputs, "cpu")
    assert torch.linalg.norm(direction, dim=1).numpy() == pytest.approx(np.ones(5000), abs=1e-5)
    assert back.numpy() == pytest.approx(uv.numpy(), abs=1e-4)


def texel_directions(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Lookup directions of the texels' centres [H W, 3] and their exact solid angles [H W]."""
    v = np.arange(height + 1) / height
    band = np.sin(np.pi * (v[1:] - 0.5)) - np.sin(np.pi * (v[:-1] - 0.5))
    t = np.pi * ((np.arange(height) + 0.5) / height - 0.5)
    f = -2 * np.pi * ((np.arange(width) + 0.5) / width - 0.5)
    t, f = np.meshgrid(t, f, indexing="ij")
    directions = np.stack([np.cos(t) * np.cos(f), np.cos(t) * np.sin(f), np.sin(t)], axis=-1)
    return directions.reshape(-1, 3), np.repeat(band * 2 * np.pi / width, width)


@pytest.mark.parametrize("shape", [(1, 1), (HEIGHT, WIDTH), (7, 3)])
def test_density_integrates_to_one(shape: tuple[int, int]) -> None:
    rotation = random_rotation(4)
    directions, solid_angle = texel_directions(*shape)
    _, density = probe(panorama(*shape), rotation, directions @ rotation)
    assert (density * solid_angle).sum() == pytest.approx(1.0, abs=1e-5)


def test_large_images_are_sampled_from_reduced_ones() -> None:
    image = panorama(MAX_SAMPLING_SIDE, 2 * MAX_SAMPLING_SIDE)
    directions = fibonacci_sphere(200_000)
    _, density = probe(image, np.eye(3), directions)
    assert density.mean() * 4 * np.pi == pytest.approx(1.0, abs=2e-2)


def test_samples_follow_the_density() -> None:
    """Chi-square over the texels of the sampling table."""
    rotation = random_rotation(5)
    image, count = panorama(), 200_000
    found = drawn(image, rotation, count) @ rotation.T
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(count), abs=1e-5)
    column = np.clip(((0.5 - np.arctan2(found[:, 1], found[:, 0]) / (2 * np.pi)) * WIDTH).astype(int), 0, WIDTH - 1)
    row = np.clip(((0.5 + np.arcsin(np.clip(found[:, 2], -1, 1)) / np.pi) * HEIGHT).astype(int), 0, HEIGHT - 1)
    observed = np.bincount(row * WIDTH + column, minlength=HEIGHT * WIDTH)
    directions, solid_angle = texel_directions(HEIGHT, WIDTH)
    _, density = probe(image, rotation, directions @ rotation)
    expected = density.astype(np.float64) * solid_angle
    result = scipy.stats.chisquare(observed, expected / expected.sum() * count)
    assert result.pvalue > 1e-4


def test_bright_texels_get_the_samples() -> None:
    """Nearly all of the power of this sky is in one texel: most samples must go near it."""
    image = panorama() * 0.01
    image[9, 6] = 80.0
    directions, _ = texel_directions(HEIGHT, WIDTH)
    sun = directions[9 * WIDTH + 6]
    angle = np.arccos(np.clip(drawn(image, np.eye(3), 5000) @ sun, -1, 1))
    assert (angle < 0.7).mean() > 0.9


def test_irradiance_by_samples() -> None:
    """Mean of radiance over density: unbiased, against the sum over a fine grid."""
    rotation = random_rotation(6)
    image = panorama()
    normal = unit(np.array([0.3, 0.2, 0.9]))
    towards = drawn(image, rotation, 400_000)
    radiance, density = probe(image, rotation, towards)
    values = radiance[:, 0] * np.maximum(towards @ normal, 0.0) / density
    directions, weights = world_samples(image, rotation, rows=1024)
    expected = (weights[:, 0] * np.maximum(directions @ normal, 0.0)).sum()
    error = values.std() / np.sqrt(len(values))
    assert error < 0.01 * expected
    assert abs(values.mean() - expected) < 5 * error
