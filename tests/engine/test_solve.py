# SPDX-License-Identifier: GPL-3.0-or-later
"""The small solver against closed forms and SciPy; poses and lenses against their definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.optimize

from likeness.engine.camera import Projection, distort, undistort
from likeness.engine.errors import UsageError
from likeness.engine.scene import Camera
from likeness.engine.solve.least_squares import Residuals, Unknown, run, solve
from likeness.engine.solve.points import camera_from_points
from likeness.engine.solve.rig import Rig, moved


@dataclass
class Curve:
    """Residuals of a function of the unknowns, without slopes."""

    unknowns: list[int]
    function: object
    huber: float = 1e9

    def measure(self, values: np.ndarray, slopes: bool) -> Residuals:
        return Residuals(self.function(values))


def test_a_curved_valley_ends_where_scipy_ends() -> None:
    """Rosenbrock's function from its usual start, by central differences."""
    unknowns = [Unknown("a", -1.2, 0.1), Unknown("b", 1.0, 0.1)]
    term = Curve([0, 1], lambda v: np.array([10 * (v[1] - v[0] ** 2), 1 - v[0]]))
    found = run(solve(unknowns, [term], iterations=100, tolerance=1e-9, gain=0.0))
    expected = scipy.optimize.least_squares(term.function, [-1.2, 1.0]).x
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


def test_a_line_has_the_textbooks_deviations() -> None:
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 3, 400)
    y = 2.0 + 0.7 * x + rng.normal(0, 0.1, len(x))
    unknowns = [Unknown("offset", 0.0, 0.3), Unknown("slope", 0.0, 0.05)]
    found = run(solve(unknowns, [Curve([0, 1], lambda v: v[0] + v[1] * x - y)]))
    coefficients, covariance = np.polyfit(x, y, 1, cov=True)
    np.testing.assert_allclose(found.values, coefficients[::-1], rtol=1e-6)
    # the sandwich of independent residuals differs from the textbook's by sampling: about 1 / sqrt(400)
    np.testing.assert_allclose(found.deviations, np.sqrt(np.diag(covariance))[::-1], rtol=0.15)
    assert not found.weak


def test_outliers_pull_no_more_than_huber_lets_them() -> None:
    y = np.concatenate([np.full(50, 1.0), np.full(8, 100.0)])
    found = run(solve([Unknown("level", 0.0, 0.1)], [Curve([0], lambda v: v[0] - y, huber=0.5)]))
    # the stationary point of Huber's loss: 50 (v - 1) = 8 * 0.5
    assert found.values[0] == pytest.approx(1.0 + 8 * 0.5 / 50, abs=1e-4)


def test_many_poses_and_a_shared_unknown_solve_as_one_system() -> None:
    """Each term knows two of five unknowns; SciPy has the dense answer."""
    rng = np.random.default_rng(0)
    x = np.linspace(0, 1, 9)
    data = [rng.normal(size=9) for _ in range(4)]
    names = [Unknown(f"own {i}", 0.0, 0.2) for i in range(4)] + [Unknown("shared", 0.1, 0.2)]
    terms = [Curve([i, 4], lambda v, y=y: v[0] + np.exp(v[1] * x) - y) for i, y in enumerate(data)]
    found = run(solve(names, terms, tolerance=1e-8, gain=0.0))

    def dense(v: np.ndarray) -> np.ndarray:
        return np.concatenate([v[i] + np.exp(v[4] * x) - y for i, y in enumerate(data)])

    expected = scipy.optimize.least_squares(dense, [0, 0, 0, 0, 0.1]).x
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_what_trades_off_is_named() -> None:
    x = np.linspace(0, 1, 50)
    noise = np.random.default_rng(1).normal(0, 0.01, 50)
    unknowns = [Unknown("focal length", 0.0, 0.01), Unknown("distance", 0.0, 0.01), Unknown("turn", 0.0, 0.01)]
    term = Curve([0, 1, 2], lambda v: 5 * (v[0] - v[1]) + v[2] * x - noise)
    found = run(solve(unknowns, [term]))
    assert found.weak == ["focal length and distance trade off: the photos tell them together, not apart"] or (
        found.weak == ["distance and focal length trade off: the photos tell them together, not apart"]
    )
    assert np.isinf(found.deviations[:2]).all()
    assert np.isfinite(found.deviations[2])


def test_a_prior_decides_where_nothing_else_does() -> None:
    unknowns = [Unknown("seen", 0.0, 0.1), Unknown("unseen", 0.3, 0.1, prior=0.2)]
    y = np.random.default_rng(1).normal(0.5, 0.01, 50)
    found = run(solve(unknowns, [Curve([0, 1], lambda v: v[0] - y + 0 * v[1])]))
    assert found.values[1] == pytest.approx(0.3, abs=1e-9)
    assert found.deviations[1] == pytest.approx(0.2, rel=0.05)


def test_distortion_is_opencvs_and_its_inverse_is_one() -> None:
    """The formula as OpenCV's documentation writes it, y down, and back."""
    k1, k2, p1, p2, k3 = coefficients = (-0.28, 0.025, 0.0012, -0.0001, 0.16)
    x, up = np.meshgrid(np.linspace(-0.6, 0.6, 13), np.linspace(-0.45, 0.45, 10))
    y = -up
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    wanted_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    wanted_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    found = distort(x, up, coefficients)
    np.testing.assert_allclose(found, (wanted_x, -wanted_y), atol=1e-12)
    np.testing.assert_allclose(undistort(*found, coefficients), (x, up), atol=1e-8)


def test_rays_of_a_distorting_lens_meet_what_it_shows() -> None:
    camera = Camera("C", np.eye(4), lens=30.0, shift_x=0.1, distortion=(-0.2, 0.05, 0.002, -0.001, 0.0))
    projection = Projection.of(camera, 64, 48)
    x, y = np.meshgrid(np.arange(64) + 0.5, np.arange(48) + 0.5)
    origins, directions = projection.rays(x, y)
    np.testing.assert_allclose(projection.project(origins + 7.0 * directions)[..., :2], np.stack([x, y], -1), atol=1e-6)


def test_poses_move_what_is_seen_as_their_names_say() -> None:
    """A pivot 5 m ahead: sliding by a tenth moves it by a tenth of its depth, distance scales, turning leaves it."""
    matrix = np.eye(4)
    pivot, one, up = np.array([0.5, -0.2, -5.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])

    def seen(pose: list[float], point: np.ndarray) -> np.ndarray:
        return (np.linalg.inv(moved(matrix, pivot, np.array(pose))) @ np.append(point, 1.0))[:3]

    np.testing.assert_allclose(seen([0, 0, 0, 0.1, 0, 0], pivot), pivot + 0.5 * one, atol=1e-12)
    np.testing.assert_allclose(seen([0, 0, 0, 0, 0, np.log(2)], pivot), pivot * 2, atol=1e-12)
    np.testing.assert_allclose(seen([0.3, 0.2, -0.1, 0, 0, 0], pivot), pivot, atol=1e-12)
    quarter = seen([0, 0, np.pi / 2, 0, 0, 0], pivot + one)
    np.testing.assert_allclose(quarter, pivot + up, atol=1e-12)


def test_a_shared_lens_is_one_set_of_numbers() -> None:
    cameras = {name: Camera(name, np.eye(4), data_name="Lens") for name in ("A", "B")}
    pivots = dict.fromkeys(cameras, np.array([0.0, 0.0, -3.0]))
    rig = Rig.of(cameras, pivots, dict.fromkeys(cameras, ("camera", "lens", "distortion")))
    assert len(rig.unknowns) == 2 * 6 + 1 + 5
    values = rig.start()
    lens = next(i for i, unknown in enumerate(rig.unknowns) if "focal length" in unknown.name)
    values[lens] = np.log(1.1)
    assert [rig.camera(name, values).lens for name in cameras] == pytest.approx([55.0, 55.0])
    assert set(rig.places("A")) & set(rig.places("B")) == set(range(len(values))) - set(
        rig.places("A")[:6] + rig.places("B")[:6]
    )


def _seen_from(seed: int) -> tuple[Camera, np.ndarray, np.ndarray]:
    """A random camera, eight points before it and where a photo of 640 x 480 shows them."""
    rng = np.random.default_rng(seed)
    world = rng.uniform(-1, 1, (8, 3))
    matrix = np.eye(4)
    matrix[:3, 3] = (0.0, 0.0, 5.0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    matrix[:3] = rotation * np.sign(np.linalg.det(rotation)) @ matrix[:3]
    camera = Camera("C", matrix, lens=40.0)
    return camera, world, Projection.of(camera, 640, 480).project(world)[:, :2]


@pytest.mark.parametrize("seed", [0, 3])
def test_a_camera_from_points_whatever_the_start(seed: int) -> None:
    camera, world, pixels = _seen_from(seed)
    start = Camera("C", np.eye(4), lens=40.0)
    found, off = camera_from_points(start, (640, 480), world, pixels)
    np.testing.assert_allclose(found.matrix, camera.matrix, atol=1e-4)
    assert off.max() < 0.01
    found, _ = camera_from_points(Camera("C", np.eye(4), lens=50.0), (640, 480), world, pixels, lens=True)
    assert found.lens == pytest.approx(40.0, rel=1e-3)


def test_pairs_that_no_camera_shows_are_refused() -> None:
    camera, world, pixels = _seen_from(1)
    with pytest.raises(UsageError, match="at least 4 pairs"):
        camera_from_points(camera, (640, 480), world[:3], pixels[:3])
    with pytest.raises(UsageError, match="on one line"):
        camera_from_points(camera, (640, 480), np.linspace(0, 1, 5)[:, None] * np.ones(3), pixels[:5])
    mirrored = pixels * [-1, 1] + [640, 0]
    with pytest.raises(UsageError, match="contradict each other"):
        camera_from_points(camera, (640, 480), world, mirrored)
    wrong = pixels.copy()
    wrong[2] += (150.0, -80.0)
    with pytest.raises(UsageError, match="Pair 3 is off the most"):
        camera_from_points(camera, (640, 480), world, wrong)
