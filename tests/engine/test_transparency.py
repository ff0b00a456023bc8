# SPDX-License-Identifier: GPL-3.0-or-later
"""Rays through stacks of panes, against the products of what each lets pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.rays import Rays, ray_tracer
from likeness.engine.render import render
from likeness.engine.scene import Camera, Material, Mesh, Scene, World, colour, scalar
from likeness.engine.transparency import (
    INDIRECT,
    SHADOW,
    Openness,
    Transparency,
    TransparentTracer,
    refracted,
    shadowed,
)

ALPHAS = (0.3, 0.0, 0.6, 0.25)  # of panes at height 1, 2, 3, 4


def no_normals(face: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    raise AssertionError("only glass needs them")


def stack(most: int = 8, unseen: torch.Tensor | None = None) -> TransparentTracer:
    """Large triangles one above the other."""
    positions = [(x, y, float(z + 1)) for z in range(len(ALPHAS)) for x, y in ((-50, -50), (50, -50), (0, 80))]
    triangles = np.arange(len(positions), dtype=np.int32).reshape(-1, 3)
    base = ray_tracer(torch.tensor(positions), triangles)
    rows = list(range(len(ALPHAS)))

    def lookup(row: int, face: torch.Tensor, weights: torch.Tensor) -> Openness:
        assert torch.allclose(weights.sum(1), torch.ones(len(face)))
        return Openness(torch.full((len(face),), ALPHAS[row]), torch.ones(len(face), 3))

    return TransparentTracer(
        base, Transparency(torch.arange(len(ALPHAS)), rows, lookup, no_normals, 1e-5, most, unseen)
    )


def upwards(count: int, reach: float, spread: float = 0.3) -> Rays:
    generator = torch.Generator().manual_seed(5)
    direction = torch.randn(count, 3, generator=generator) * spread
    direction[:, 2] = 1.0
    return Rays(torch.zeros(count, 3), direction, torch.full((count,), reach))


@pytest.mark.parametrize(
    ("reach", "passed"), [(0.9, 1.0), (1.5, 0.7), (2.5, 0.7), (3.5, 0.28), (9.0, 0.21), (-1.0, 1.0)]
)
def test_light_on_its_way_is_weakened_by_each_pane(reach: float, passed: float) -> None:
    assert torch.allclose(stack().transmitted(upwards(40, reach)), torch.full((40, 3), passed), atol=1e-6)


def test_what_is_carried_is_weakened_and_blocked_behind_too_many_panes() -> None:
    carried = torch.full((40, 3), 2.0)
    assert not shadowed(stack(), upwards(40, 9.0), carried).any()
    assert torch.allclose(carried, torch.full((40, 3), 0.42), atol=1e-6)
    assert shadowed(stack(most=2), upwards(40, 9.0), carried).all()


def test_panes_are_met_as_often_as_they_are_opaque_and_at_their_distance() -> None:
    rays = upwards(40_000, 100.0)
    hits = stack().intersect(rays)
    expected, left = {}, 1.0
    for pane, alpha in enumerate(ALPHAS):
        expected[pane], left = left * alpha, left * (1 - alpha)
    expected[-1] = left
    for face, share in expected.items():
        here = hits.face == face
        # four standard deviations of a binomial
        assert here.float().mean().item() == pytest.approx(share, abs=4 * (share * (1 - share) / 40_000) ** 0.5 + 1e-9)
        if face >= 0:
            assert torch.allclose(hits.distance[here], torch.full((int(here.sum()),), face + 1.0), atol=1e-3)
    again = stack().intersect(Rays(rays.origin[100:200], rays.direction[100:200], rays.t_max[100:200]))
    assert torch.equal(again.face, hits.face[100:200])  # whatever the batch


@pytest.mark.parametrize("film", [False, True])
def test_glowing_panes_before_the_world_are_blended(film: bool) -> None:
    """Closed form: premultiplied colour and alpha of two panes over a world of one colour."""
    quad = np.array([(-9, -9), (9, -9), (9, 9), (-9, 9)], np.float32)
    glow, alpha = ((1.0, 0.2, 0.0), (0.0, 0.5, 2.0)), (0.25, 0.6)
    scene = Scene(world=World("World", np.array([0.3, 0.6, 0.9], np.float32)))
    scene.film.transparent = film
    for number in range(2):  # the first is nearer
        positions = np.concatenate([quad, np.full((4, 1), -1.0 - number, np.float32)], axis=1)
        triangles = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
        normals = np.broadcast_to(np.array([0, 0, 1], np.float32), (2, 3, 3)).copy()
        name = f"Pane {number}"
        scene.meshes.append(Mesh(name, positions, triangles, normals, {}, None, [name], np.zeros(2, np.int32)))
        black = {"base_color": colour(0, 0, 0), "specular_level": scalar(0.0), "emission_strength": scalar(1.0)}
        look = {"emission_color": colour(*glow[number]), "alpha": scalar(alpha[number])}
        scene.materials[name] = Material(name, **black, **look)
    scene.cameras["Camera"] = Camera("Camera", np.eye(4))
    found = render(scene, "Camera", 8, 8, samples=1)
    behind = (1 - alpha[0]) * alpha[1], (1 - alpha[0]) * (1 - alpha[1])
    expected = alpha[0] * np.array(glow[0]) + behind[0] * np.array(glow[1])
    if not film:
        expected = expected + behind[1] * scene.world.color
    assert np.allclose(found[..., :3], expected, atol=1e-4)
    assert np.allclose(found[..., 3], 1.0 - behind[1] if film else 1.0, atol=1e-5)


def test_unseen_panes_are_passed_over_by_their_kind_of_rays() -> None:
    unseen = torch.zeros(3, len(ALPHAS), dtype=torch.bool)
    unseen[SHADOW, 2] = unseen[INDIRECT, 0] = unseen[INDIRECT, 3] = True
    # the hidden pane does not count among those that may be crossed
    tracer = stack(most=3, unseen=unseen)
    assert torch.allclose(tracer.transmitted(upwards(40, 9.0)), torch.full((40, 3), 0.7 * 0.75), atol=1e-6)
    met = tracer.intersect(upwards(20_000, 100.0)).face
    assert set(met.unique().tolist()) == {-1, 2}
    assert (met == 2).float().mean().item() == pytest.approx(0.6, abs=4 * (0.24 / 20_000) ** 0.5)


@pytest.mark.parametrize("ior", [1.1, 1.5, 2.4])
@pytest.mark.parametrize("degrees", [1.0, 35.0, 60.0, 85.0])
def test_rays_bend_by_the_laws_of_snell_and_fresnel(ior: float, degrees: float) -> None:
    """From angles, into the glass and out of it."""
    normal = torch.tensor([[0.0, 0.0, 1.0]])
    angle = np.radians(degrees)
    for inside, eta in ((False, ior), (True, 1 / ior)):
        down = torch.tensor([[np.sin(angle), 0.0, -np.cos(angle)]], dtype=torch.float32)
        direction = down * torch.tensor([1.0, 0.0, -1.0]) if inside else down
        bent, share, total = refracted(direction, normal, torch.tensor([inside]), torch.tensor([ior]))
        sine = np.sin(angle) / eta
        assert bool(total) == (sine > 1)
        if sine > 1:
            assert share.item() == 1.0
            assert torch.allclose(bent, direction * torch.tensor([1.0, 0.0, -1.0]), atol=1e-5)
            continue
        other = np.arcsin(sine)
        assert bent[0, 0].item() == pytest.approx(sine, abs=1e-4)
        assert np.sign(bent[0, 2].item()) == np.sign(direction[0, 2].item())
        across = np.sin(angle - other) / np.sin(angle + other)
        along = np.tan(angle - other) / np.tan(angle + other)
        assert share.item() == pytest.approx((across**2 + along**2) / 2, rel=2e-3, abs=1e-5)
