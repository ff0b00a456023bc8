# SPDX-License-Identifier: GPL-3.0-or-later
"""Priors of the fitted textures, in cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.camera import Projection
from likeness.engine.losses import FLAT, material_prior
from likeness.engine.parameters import Parameters, names_by_kind
from likeness.engine.render import Renderer
from likeness.engine.result import Target
from likeness.engine.scene import Mesh
from likeness.engine.view import build_view
from tests.engine.shading.by_hand import looking_down, matte, plane, scene_of

SIDE, TEXELS = 64, 16


def prior_of(meshes: list[Mesh], targets: tuple[str, ...], paint: dict[str, torch.Tensor]) -> tuple[float, Parameters]:
    """The prior of textures that hold `paint` (values that spread to [TEXELS, TEXELS, C]), after its backward."""
    scene = scene_of(meshes, [matte(0.5)])
    scene.cameras["Camera"] = looking_down(scale=4.0)
    renderer = Renderer(scene, "cpu")
    parameters = Parameters.of(renderer, names_by_kind([Target(target, "Matte") for target in targets]), TEXELS)
    renderer.bank.bundles = parameters.bundles
    (bundle,) = parameters.bundles
    with torch.no_grad():
        for target, values in paint.items():
            bundle.data[..., slice(*bundle.channels[target])] = values
    view = build_view(renderer.corners, Projection.of(scene.cameras["Camera"], SIDE, SIDE), margin=1)
    loss = material_prior(renderer.bank, view, renderer.corners, torch.Generator().manual_seed(0))
    loss.backward()
    return loss.item(), parameters


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (0.3, -0.4)])
def test_a_normal_map_that_leans_everywhere_costs_its_squared_tilt(tilt: tuple[float, float]) -> None:
    leaning = torch.tensor([0.5 + tilt[0] / 2, 0.5 + tilt[1] / 2, 0.9])
    loss, _ = prior_of([plane(4.0)], ("normal",), {"normal": leaning})
    assert loss == pytest.approx(FLAT * (tilt[0] ** 2 + tilt[1] ** 2), rel=1e-4, abs=1e-9)


def halves() -> list[Mesh]:
    """Two planes side by side whose charts lie far apart in the texture."""
    left, right = plane(2.0, name="Left"), plane(2.0, name="Right")
    for mesh, x, u in ((left, -1.0, 0.1), (right, 1.0, 0.6)):
        mesh.positions = mesh.positions + np.array([x, 0.0, 0.0], np.float32)
        assert mesh.active_uv is not None
        uv = mesh.uv_maps[mesh.active_uv]
        mesh.uv_maps[mesh.active_uv] = uv * np.array([0.3, 1.0], np.float32) + np.array([u, 0.0], np.float32)
    return [left, right]


def roughness_gradient(left_colour: float, right_colour: float) -> torch.Tensor:
    """Gradient of the prior [TEXELS] over columns, roughness being .2 on the left half and .8 on the right one."""
    right = (torch.arange(TEXELS) >= TEXELS // 2).float()[None, :, None]
    paint = {
        "base_color": left_colour + (right_colour - left_colour) * right,
        "roughness": 0.2 + 0.6 * right,
    }
    _, parameters = prior_of(halves(), ("base_color", "roughness"), paint)
    (bundle,) = parameters.bundles
    assert bundle.data.grad is not None
    return bundle.data.grad[..., slice(*bundle.channels["roughness"])].sum((0, 2))


def test_the_seams_of_an_atlas_do_not_part_a_substance() -> None:
    gradient = roughness_gradient(0.5, 0.5)
    assert float(gradient[: TEXELS // 2].sum()) < 0  # descent makes the left rougher …
    assert float(gradient[TEXELS // 2 :].sum()) > 0  # … and the right smoother
    assert float(gradient.sum()) == pytest.approx(0, abs=1e-6)


def test_another_colour_is_another_substance() -> None:
    """Between the halves there is no pull; what rounding does within one of them sums to nothing."""
    alike, apart = (abs(float(roughness_gradient(*c)[: TEXELS // 2].sum())) for c in ((0.5, 0.5), (0.2, 0.8)))
    assert apart < 1e-2 * alike
