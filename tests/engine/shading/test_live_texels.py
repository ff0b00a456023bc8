# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients through the first reflection against finite differences of pictures that are gathered anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.camera import Projection
from likeness.engine.materials import TextureBundle
from likeness.engine.render import Renderer
from likeness.engine.scene import Camera, Film, Light, Material, Texture, colour, scalar
from likeness.engine.shading.gather import SampleCounts
from likeness.engine.view import View, build_view

from .by_hand import matte, plane, quad, scene_of

SIZE = 6
WALL = np.array([(-0.8, 0.6, 0.0), (0.8, 0.6, 0.0), (0.8, 0.6, 1.5), (-0.8, 0.6, 1.5)])
COUNTS = SampleCounts(light=16, environment=0, bsdf=256, bounces=1, emitter=64)


def wall_and_floor(wall: Material) -> Renderer:
    """A floor that a camera sees from above, and a wall beside it whose texture is fitted; both under a lamp."""
    matrix = np.eye(4)
    matrix[:3, 3] = (0.3, -0.8, 2.0)
    lamp = Light("Lamp", "Lamp", "POINT", matrix, 60.0, np.ones(3), radius=0.2)
    above = np.eye(4)
    above[2, 3] = 3.0
    camera = Camera("Camera", above, kind="ORTHO", ortho_scale=1.0)
    scene = scene_of(
        [plane(8.0), quad("Wall", WALL, "Wall")], [matte(0.7), wall], [lamp],
        cameras={"Camera": camera}, film=Film(bounces=1),
    )  # fmt: skip
    return Renderer(scene, "cpu")


def picture(renderer: Renderer) -> tuple[View, torch.Tensor]:
    """The floor's radiance [P, 3], always with the same random numbers."""
    view = build_view(renderer.corners, Projection.of(renderer.scene.cameras["Camera"], SIZE, SIZE), margin=0)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    renderer.gather(view, surfaces, renderer.world(), COUNTS, 5)
    return view, renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)


@pytest.mark.parametrize(
    "kind",
    [
        "matte",
        # What paint reflects at its surface, a twentieth of the light, is taken for what it would be under even light;
        # the lamp's highlight may be twice as much or nothing.
        pytest.param("paint", marks=pytest.mark.xfail(strict=True, reason="the share of the base colour is a mean")),
        "metal",
        "glow",
    ],
)
def test_what_a_wall_sends_to_the_floor(kind: str) -> None:
    """No pixel shows the wall: all of its texture's gradient comes by way of the floor."""
    looks = {
        "matte": Material("Wall", specular_level=scalar(0.0)),
        "paint": Material("Wall", roughness=scalar(0.6)),
        "metal": Material("Wall", metallic=scalar(1.0), roughness=scalar(0.6)),
        "glow": Material("Wall", colour(0.0, 0.0, 0.0), specular_level=scalar(0.0)),
    }
    target = "emission" if kind == "glow" else "base_color"
    random = np.random.default_rng(6)
    data = torch.from_numpy(random.uniform(0.5, 0.9, (4, 4, 3)).astype(np.float32))
    renderer = wall_and_floor(looks[kind])
    bundle = TextureBundle("Wall", Texture(""), {target: (0, 3)}, data.clone().requires_grad_())
    renderer.bank.bundles = [bundle]
    weight = torch.from_numpy(random.uniform(0.0, 1.0, (SIZE * SIZE, 3)).astype(np.float32))

    view, radiance = picture(renderer)
    assert view.live_needed
    (radiance * weight).sum().backward()
    gradient = bundle.data.grad.double()

    def value(change: torch.Tensor) -> float:
        bundle.data = data + change
        return float((picture(renderer)[1].double() * weight).sum())

    lowest = torch.zeros(4, 4, 3)
    lowest[0, 1] = 1.0  # the texel of the wall's foot
    for direction in (torch.ones(4, 4, 3), lowest):
        step = 0.04
        found = (value(step * direction) - value(-step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(found, rel=0.05)


def test_a_view_keeps_its_texels_when_the_fit_has_gone_on() -> None:
    """Shading with a changed texture is what gathering with it would have brought."""
    renderer = wall_and_floor(Material("Wall", specular_level=scalar(0.0)))
    renderer.bank.bundles = [TextureBundle("Wall", Texture(""), {"base_color": (0, 3)}, torch.full((4, 4, 3), 0.6))]
    view, before = picture(renderer)
    renderer.bank.bundles[0].data = torch.full((4, 4, 3), 0.8)
    renderer.world()  # someone looks at the scene as it is now
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    shaded = renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)
    _, gathered = picture(renderer)
    assert (gathered - before).mean() > 0.02 * before.mean()
    assert shaded.mean().item() == pytest.approx(gathered.mean().item(), rel=2e-3)


def test_where_nothing_is_fitted_there_are_no_gains() -> None:
    renderer = wall_and_floor(Material("Wall"))
    view, _ = picture(renderer)
    assert view.live == []
    stored = torch.arange(view.samples.source.shape[1]) < view.samples.count[:, None]
    assert int(view.samples.source[stored].max()) == 0  # the lamp
