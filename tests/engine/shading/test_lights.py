# SPDX-License-Identifier: GPL-3.0-or-later
"""Lights: irradiance against closed forms (docs/blender-image-formation.md §2), and sampling against its densities."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import warp as wp

from likeness.engine.errors import SceneError
from likeness.engine.ops.launch import launch
from likeness.engine.scene import Light
from likeness.engine.shading.lights import LightArrays, hit_light, light_arrays, light_colors, sample_light
from tests.reference.lights import light_samples

from .by_hand import fibonacci_sphere, random_rotation, unit

COUNT = 65536


@wp.kernel(enable_backward=False)
def _sample_kernel(
    start: int,
    slot: int,
    lights: LightArrays,
    point: wp.vec3,
    uv: wp.array(dtype=wp.vec2),
    direction: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    s = sample_light(lights, 0, point, uv[i][0], uv[i][1])
    direction[i] = s.direction
    out[i] = wp.vec3(s.distance, s.radiance, s.density)


@wp.kernel(enable_backward=False)
def _hit_kernel(
    start: int,
    slot: int,
    lights: LightArrays,
    point: wp.vec3,
    direction: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    s = hit_light(lights, 0, point, direction[i])
    out[i] = wp.vec3(s.distance, s.radiance, s.density)


def sampled(light: Light, point: np.ndarray, count: int = COUNT) -> tuple[np.ndarray, ...]:
    """Directions [N, 3], distance, radiance and density [N] of a low-discrepancy set of samples."""
    index = np.arange(count) + 0.5
    uv = np.stack([index / count, index * 0.6180339887498949 % 1.0], axis=-1).astype(np.float32)
    direction, out = torch.zeros(count, 3), torch.zeros(count, 3)
    inputs = [
        light_arrays([light], "cpu"),
        wp.vec3(*point),
        wp.from_torch(torch.from_numpy(uv), dtype=wp.vec2),
        wp.from_torch(direction, dtype=wp.vec3),
        wp.from_torch(out, dtype=wp.vec3),
    ]
    launch(_sample_kernel, count, inputs, "cpu")
    return direction.numpy(), *out.numpy().astype(np.float64).T


def hit(light: Light, point: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distance, radiance and density [N] along directions."""
    towards, out = torch.from_numpy(direction.astype(np.float32)), torch.zeros(len(direction), 3)
    arrays = [wp.from_torch(x, dtype=wp.vec3) for x in (towards, out)]
    launch(_hit_kernel, len(direction), [light_arrays([light], "cpu"), wp.vec3(*point), *arrays], "cpu")
    return tuple(out.numpy().astype(np.float64).T)


def irradiance(light: Light, point: np.ndarray, normal: np.ndarray, count: int = COUNT) -> float:
    """Monte Carlo irradiance for effective power 1."""
    direction, _, radiance, density = sampled(light, point, count)
    cosine = np.maximum(direction @ normal, 0.0)
    return float(np.mean(radiance * cosine / np.where(density > 0, density, 1.0)))


def posed(
    kind: str, place: tuple[float, float, float], target: tuple[float, float, float] = (0, 0, 0), **more
) -> Light:
    """A light of power 1 at `place` that shines at `target`."""
    z = unit(np.subtract(place, target).astype(np.float64))
    x = unit(np.cross((0.31, 0.92, 0.24), z))
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    matrix[:3, 3] = place
    return Light("Light", "Light", kind, matrix, 1.0, np.ones(3, np.float32), **more)


ORIGIN, UP = np.zeros(3), np.array([0.0, 0.0, 1.0])
PLACE = (0.9, -1.3, 2.2)
DISTANCE2 = sum(x * x for x in PLACE)
COSINE = PLACE[2] / math.sqrt(DISTANCE2)


def test_point_without_size() -> None:
    assert irradiance(posed("POINT", PLACE), ORIGIN, UP, 1) == pytest.approx(COSINE / (4 * np.pi * DISTANCE2), rel=1e-5)


def test_point_with_soft_falloff() -> None:
    """A disk that faces the point: its vector irradiance lies on the axis."""
    light = posed("POINT", PLACE, radius=0.6)
    expected = COSINE / (4 * np.pi * (DISTANCE2 + 0.36))
    assert irradiance(light, ORIGIN, UP) == pytest.approx(expected, rel=1e-3)


def test_sphere_shines_like_a_point() -> None:
    light = posed("POINT", PLACE, radius=0.6, soft_falloff=False)
    assert irradiance(light, ORIGIN, UP) == pytest.approx(COSINE / (4 * np.pi * DISTANCE2), rel=1e-3)


@pytest.mark.parametrize("angle", [0.0, 0.009, 0.3, 1.5])
def test_sun_is_its_strength_whatever_its_angle(angle: float) -> None:
    assert irradiance(posed("SUN", PLACE, angle=angle), ORIGIN, UP) == pytest.approx(COSINE, rel=1e-3)


def test_sun_without_normalize() -> None:
    light = posed("SUN", PLACE, angle=0.5, normalize=False)
    assert irradiance(light, ORIGIN, UP) == pytest.approx(np.pi * math.sin(0.25) ** 2 * COSINE, rel=1e-3)


@pytest.mark.parametrize("soft", [True, False])
def test_point_without_normalize(soft: bool) -> None:
    """Radiance 1 / pi, four times the intensity for no size."""
    light = posed("POINT", PLACE, radius=0.4, soft_falloff=soft, normalize=False)
    solid = np.pi * 0.16 / (DISTANCE2 + (0.16 if soft else 0.0))
    assert irradiance(light, ORIGIN, UP) == pytest.approx(solid * COSINE / np.pi, rel=1e-3)
    hard = posed("POINT", PLACE, normalize=False)
    assert irradiance(hard, ORIGIN, UP, 1) == pytest.approx(COSINE / (np.pi * DISTANCE2), rel=1e-5)


@pytest.mark.parametrize("off_axis", [0.0, 0.2, 0.3, 0.36, 0.5])
@pytest.mark.parametrize("blend", [0.0, 0.15, 1.0])
def test_spot_cone(off_axis: float, blend: float) -> None:
    light = posed("SPOT", (0.0, 0.0, 3.0), spot_size=0.7, spot_blend=blend)
    point = np.array([3.0 * math.tan(off_axis), 0.0, 0.0])
    cosine, edge = math.cos(off_axis), math.cos(0.35)
    t = float(cosine > edge) if blend == 0 else min(max((cosine - edge) / ((1 - edge) * blend), 0.0), 1.0)
    expected = cosine**3 / (4 * np.pi * 9.0) * t * t * (3 - 2 * t)
    assert irradiance(light, point, UP, 1) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def rectangle_view_factor(a: float, b: float, h: float) -> float:
    """From a point under a corner of an a x b rectangle at height h, parallel to it (Siegel and Howell, B-4)."""
    x, y = a / h, b / h
    p, q = math.sqrt(1 + x * x), math.sqrt(1 + y * y)
    return (x / p * math.atan(y / p) + y / q * math.atan(x / q)) / (2 * np.pi)


def test_rectangle() -> None:
    light = posed("AREA", (0.0, 0.0, 2.0), area_size=(1.4, 0.8))
    x_axis = light.matrix[:3, 0]
    point = 0.7 * x_axis + 0.4 * light.matrix[:3, 1]  # under a corner
    radiance = 1 / (np.pi * 1.4 * 0.8)
    expected = np.pi * radiance * rectangle_view_factor(1.4, 0.8, 2.0)
    assert irradiance(light, point, UP) == pytest.approx(expected, rel=1e-3)


def test_disk_on_its_axis() -> None:
    light = posed("AREA", (0.0, 0.0, 2.0), area_size=(1.2, 1.2), area_shape="ELLIPSE")
    assert irradiance(light, ORIGIN, UP) == pytest.approx(1 / (np.pi * (4.0 + 0.36)), rel=1e-3)


def test_scale_of_the_object_makes_an_area_light_larger_but_not_stronger() -> None:
    light = posed("AREA", (0.0, 0.0, 2.0), area_size=(0.4, 0.4), area_shape="ELLIPSE")
    light.matrix[:3, :3] *= 3.0
    assert irradiance(light, ORIGIN, UP) == pytest.approx(1 / (np.pi * (4.0 + 0.36)), rel=1e-3)


def test_back_of_an_area_light_is_dark() -> None:
    light = posed("AREA", (0.0, 0.0, 2.0), area_size=(1.0, 1.0))
    assert irradiance(light, np.array([0.1, 0.2, 4.0]), -UP) == 0.0


@pytest.mark.parametrize("spread", [0.8, 1.5, 2.5])
def test_spread(spread: float) -> None:
    """From far away a small light has one angle; and whatever the spread, an endless plane receives the whole power."""
    half = spread / 2
    light = posed("AREA", (0.0, 0.0, 100.0), area_size=(0.5, 0.5), spread=spread)
    angle = 0.5 * half
    point = np.array([100 * math.tan(angle), 0.0, 0.0])
    gain = (math.tan(half) - math.tan(angle)) / (math.tan(half) - half)
    expected = math.cos(angle) ** 4 / (np.pi * 1e4) * gain
    assert irradiance(light, point, UP) == pytest.approx(expected, rel=2e-3)
    beyond = np.array([100 * math.tan(min(1.2 * half, 1.5)), 0.0, 0.0])
    assert irradiance(light, beyond, UP) == 0.0
    angles = (np.arange(400) + 0.5) / 400 * half
    radii = 100 * np.tan(angles)
    rings = [irradiance(light, np.array([r, 0.0, 0.0]), UP, 512) for r in radii]
    total = np.sum(np.array(rings) * 2 * np.pi * radii * 100 / np.cos(angles) ** 2) * half / 400
    assert total == pytest.approx(1.0, rel=2e-3)


KINDS = {
    "soft point": posed("POINT", (0.4, -0.6, 1.3), radius=0.7),
    "sphere": posed("POINT", (0.4, -0.6, 1.3), radius=0.7, soft_falloff=False),
    "soft spot": posed("SPOT", (0.4, -0.6, 1.3), radius=0.5, spot_size=1.4, spot_blend=0.4),
    "sun": posed("SUN", (0.4, -0.6, 1.3), angle=1.2),
    "rectangle": posed("AREA", (0.4, -0.6, 1.3), (0.3, 0.1, 0.0), area_size=(1.6, 0.9)),
    "disk with spread": posed(
        "AREA", (0.4, -0.6, 1.3), (0.3, 0.1, 0.0), area_size=(1.6, 0.9), area_shape="ELLIPSE", spread=1.8
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_against_the_reference_sum(name: str) -> None:
    """Another implementation of the same light, checked against Cycles."""
    light, normal = KINDS[name], unit(np.array([0.2, -0.1, 1.0]))
    directions, weights = light_samples(light, ORIGIN, 1 << 16)
    expected = (weights[:, 0] * np.maximum(directions @ normal, 0.0)).sum()
    assert irradiance(light, ORIGIN, normal) == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize("name", KINDS)
def test_density_integrates_to_one(name: str) -> None:
    directions = fibonacci_sphere(400_000)
    distance, _, density = hit(KINDS[name], ORIGIN, directions)
    found = (density * (distance > 0)).sum() * 4 * np.pi / len(directions)
    assert found == pytest.approx(1.0, abs=5e-3)  # the lattice resolves the light's outline no better


@pytest.mark.parametrize("name", KINDS)
def test_a_sampled_direction_meets_the_light_with_the_same_density(name: str) -> None:
    light = KINDS[name]
    direction, distance, radiance, density = sampled(light, ORIGIN)
    found_distance, found_radiance, found_density = hit(light, ORIGIN, direction)
    met = found_distance > 0
    assert met.mean() > 0.995  # rounding decides at the outline
    bright = met & (radiance > 1e-4 * radiance.max())
    assert bright.sum() > 0.3 * COUNT
    assert found_distance[met] == pytest.approx(distance[met], rel=1e-4)
    assert found_density[met] == pytest.approx(density[met], rel=1e-3)
    assert found_radiance[bright] == pytest.approx(radiance[bright], rel=2e-3, abs=1e-4 * radiance.max())


def test_spot_in_a_scaled_object() -> None:
    light = posed("SPOT", PLACE, (0.3, 0.2, 0.0), spot_size=1.0, spot_blend=0.6)
    light.matrix[:3, :3] = light.matrix[:3, :3] @ np.diag([1.0, 2.5, 0.7])
    for point in np.random.default_rng(3).uniform(-1, 1, (20, 3)) * [1.2, 1.2, 0.0]:
        directions, weights = light_samples(light, point)
        expected = (weights[:, 0] * np.maximum(directions @ UP, 0.0)).sum()
        assert irradiance(light, point, UP, 1) == pytest.approx(expected, rel=1e-3, abs=1e-7)


def test_effective_power() -> None:
    light = posed("POINT", PLACE)
    light.energy, light.color = 20.0, np.array([1.0, 0.5, 0.25])
    light.multiplier = np.array([2.0, 1.0, 4.0])
    assert light_colors([light], "cpu").numpy() == pytest.approx(np.array([[40.0, 10.0, 20.0]]))
    assert light_colors([], "cpu").numpy() == pytest.approx(np.zeros((1, 3)))


def test_a_light_that_has_no_extent_in_space() -> None:
    flat = posed("AREA", PLACE, area_size=(0.0, 1.0))
    with pytest.raises(SceneError, match="Light"):
        light_arrays([flat], "cpu")
    collapsed = posed("POINT", PLACE)
    collapsed.matrix[:3, 1] = 0.0
    with pytest.raises(SceneError, match="Light"):
        light_arrays([collapsed], "cpu")


def test_any_pose() -> None:
    """Turning light and surface together changes nothing."""
    light = KINDS["disk with spread"]
    turn = np.eye(4)
    turn[:3, :3], turn[:3, 3] = random_rotation(8), (0.3, -2.0, 1.0)
    turned = Light(**{**vars(light), "matrix": turn @ light.matrix})
    expected = irradiance(light, ORIGIN, UP)
    assert irradiance(turned, turn[:3, 3], turn[:3, 2]) == pytest.approx(expected, rel=1e-3)
