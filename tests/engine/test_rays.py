# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ray tracers against each other and against every triangle tried in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from likeness.engine import rays as engine_rays
from likeness.engine.rays import RAYS_A_PIECE, EmbreeTracer, Rays, RayTracer, WarpTracer, ray_tracer

Maker = Callable[[torch.Tensor, np.ndarray], RayTracer]
FAR = 1e30


@pytest.fixture(params=[EmbreeTracer, WarpTracer])
def make(request: pytest.FixtureRequest) -> Maker:
    if request.param is EmbreeTracer:
        pytest.importorskip("embreex")
    return request.param


def triangle_soup(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Random triangles [T, 3] over shared vertices [V, 3] in a cube of side 2."""
    rng = np.random.default_rng(17)
    positions = rng.uniform(-1, 1, (count, 3)).astype(np.float32)
    return positions, np.stack([rng.permutation(count)[:3] for _ in range(count)]).astype(np.int32)


def random_rays(count: int, reach: float = FAR) -> Rays:
    """Rays of all directions from in and around the cube, directions of any length."""
    rng = np.random.default_rng(18)
    origin, direction = rng.uniform(-1.5, 1.5, (count, 3)), rng.normal(size=(count, 3))
    return rays_of(origin, direction, np.full(count, reach))


def rays_of(origin: np.ndarray, direction: np.ndarray, t_max: np.ndarray) -> Rays:
    return Rays(*(torch.from_numpy(np.array(x, np.float32)) for x in (origin, direction, t_max)))


def slow_hits(positions: np.ndarray, triangles: np.ndarray, rays: Rays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Möller and Trumbore (1997) in float64 for all pairs: nearest distance [N] (inf: nothing), triangle [N], and how
    near [N] any triangle's edge comes to changing that, in barycentric units."""
    origin, direction = rays.origin.double().numpy(), rays.direction.double().numpy()
    p0, p1, p2 = positions.astype(np.float64)[triangles].transpose(1, 0, 2)
    p = np.cross(direction[:, None], p2 - p0)
    determinant = (p * (p1 - p0)).sum(-1)
    s = origin[:, None] - p0
    q = np.cross(s, p1 - p0)
    u = (p * s).sum(-1) / determinant
    v = (q * direction[:, None]).sum(-1) / determinant
    t = (q * (p2 - p0)).sum(-1) / determinant
    inside = np.minimum(np.minimum(u, v), 1 - u - v)
    t = np.where((inside >= 0) & (t > 0) & (t < rays.t_max.double().numpy()[:, None]), t, np.inf)
    return t.min(1), t.argmin(1), np.abs(inside).min(1)


@pytest.mark.parametrize("reach", [FAR, 0.6])
def test_nearest_hit_is_that_of_trying_every_triangle(make: Maker, reach: float) -> None:
    positions, triangles = triangle_soup()
    rays = random_rays(4000, reach)
    tracer = make(torch.from_numpy(positions), triangles)
    hits, occluded = tracer.intersect(rays), tracer.occluded(rays)
    distance, face, margin = slow_hits(positions, triangles, rays)
    clear = margin > 1e-5  # float32 may decide otherwise at an edge
    met = np.isfinite(distance)
    assert clear.mean() > 0.95
    assert 0.05 < met.mean() < 0.95
    assert np.array_equal(hits.face.numpy()[clear], np.where(met, face, -1)[clear])
    assert np.array_equal(occluded.numpy()[clear], met[clear])
    both = clear & met
    assert hits.distance.numpy()[both] == pytest.approx(distance[both], rel=1e-4, abs=1e-5)

    # the barycentric coordinates lead to the point on the ray
    weights = hits.barycentric.double().numpy()[both]
    weights = np.concatenate([weights, 1 - weights.sum(1, keepdims=True)], axis=1)
    point = np.einsum("nc,ncx->nx", weights, positions[triangles[face[both]]].astype(np.float64))
    along = rays.origin.double().numpy()[both] + rays.direction.double().numpy()[both] * distance[both, None]
    assert point == pytest.approx(along, abs=1e-4)  # slivers spread the rounding


def test_both_tracers_agree() -> None:
    pytest.importorskip("embreex")
    positions, triangles = triangle_soup()
    rays = random_rays(4000)
    embree, warp = (make(torch.from_numpy(positions), triangles) for make in (EmbreeTracer, WarpTracer))
    a, b = embree.intersect(rays), warp.intersect(rays)
    same = a.face == b.face
    assert same.float().mean() > 0.999
    met = same & (a.face >= 0)
    assert torch.allclose(a.barycentric[met], b.barycentric[met], atol=1e-4)
    assert torch.allclose(a.distance[met], b.distance[met], rtol=1e-4, atol=1e-5)
    assert (embree.occluded(rays) == warp.occluded(rays)).float().mean() > 0.999


def test_no_ray_and_no_number_meet_nothing(make: Maker) -> None:
    positions = np.array([(-1, -1, 0), (1, -1, 0), (0, 1, 0)], np.float32)
    tracer = make(torch.from_numpy(positions), np.array([[0, 1, 2], [0, 0, 1], [2, 2, 2]], np.int32))
    down = np.array([0.0, 0.0, -1.0])
    nan = np.full(3, np.nan)
    cases = [  # origin, direction, reach, whether it meets the one triangle that has an area
        ((0, 0, 1), down, FAR, True),
        ((0, 0, 1), down, 1.1, True),
        ((0, 0, 1), down, 0.9, False),
        ((0, 0, 1), -down, FAR, False),
        ((0, 0, 1), down, -1.0, False),
        ((0, 0, 0), down, -1.0, False),
        ((0, 0, 1), down, np.nan, False),
        (nan, down, FAR, False),
        ((0, 0, 1), nan, FAR, False),
    ]
    rays = rays_of(*(np.array([case[i] for case in cases]) for i in range(3)))
    before = rays.t_max.clone()
    expected = [case[3] for case in cases]
    assert tracer.occluded(rays).tolist() == expected
    assert (tracer.intersect(rays).face == 0).tolist() == expected
    assert (tracer.intersect(rays).face == -1).tolist() == [not met for met in expected]
    assert torch.equal(rays.t_max.nan_to_num(), before.nan_to_num())  # not written to


def test_no_rays_at_all(make: Maker) -> None:
    positions, triangles = triangle_soup()
    tracer = make(torch.from_numpy(positions), triangles)
    assert tracer.occluded(Rays.empty(0, "cpu")).shape == (0,)
    assert tracer.intersect(Rays.empty(0, "cpu")).face.shape == (0,)


def test_many_pieces_are_in_order(make: Maker) -> None:
    """Rays of several threads end up where they belong, the same in every run."""
    positions, triangles = triangle_soup()
    tracer = make(torch.from_numpy(positions), triangles)
    rays = random_rays(3 * RAYS_A_PIECE + 5)
    hits, again = tracer.intersect(rays), tracer.intersect(rays)
    last = Rays(*(x[-100:].clone() for x in (rays.origin, rays.direction, rays.t_max)))
    assert torch.equal(hits.face[-100:], tracer.intersect(last).face)
    assert torch.equal(hits.face, again.face)
    met = hits.face >= 0
    assert torch.equal(hits.barycentric[met], again.barycentric[met])
    assert torch.equal(tracer.occluded(rays), met)


def test_update_follows_the_vertices(make: Maker) -> None:
    positions, triangles = triangle_soup()
    tracer = make(torch.from_numpy(positions), triangles)
    moved = torch.from_numpy(positions * np.float32(0.5) + np.float32([0.3, -0.2, 0.1]))
    tracer.update(moved)
    rays = random_rays(2000)
    fresh = make(moved, triangles).intersect(rays)
    found = tracer.intersect(rays)
    assert torch.equal(found.face, fresh.face)
    assert torch.allclose(found.distance[fresh.face >= 0], fresh.distance[fresh.face >= 0])


def test_tracer_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Embree where it is installed, else Warp."""
    positions, triangles = triangle_soup()
    vertices = torch.from_numpy(positions)
    if engine_rays.EmbreeScene is not None:
        assert isinstance(ray_tracer(vertices, triangles), EmbreeTracer)
    monkeypatch.setattr(engine_rays, "EmbreeScene", None)
    assert isinstance(ray_tracer(vertices, triangles), WarpTracer)
