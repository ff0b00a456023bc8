# SPDX-License-Identifier: GPL-3.0-or-later
"""Metal or paint: residuals land on the right texels, and the hypothesis that explains the photos better wins."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine import hypotheses
from likeness.engine.camera import Projection
from likeness.engine.parameters import Parameters, names_by_kind
from likeness.engine.photo_views import CachedView
from likeness.engine.render import Renderer
from likeness.engine.result import Target
from likeness.engine.scene import Material
from likeness.engine.view import build_view
from tests.engine.shading.by_hand import plane, scene_of

SIZE = 16


def prepared(*targets: str) -> tuple[Renderer, Parameters]:
    scene = scene_of([plane(2.0, material="Paint")], [Material("Paint")])
    renderer = Renderer(scene, "cpu")
    chosen = names_by_kind([Target(target, "Paint") for target in targets])
    parameters = Parameters.of(renderer, chosen, SIZE)
    renderer.bank.bundles = parameters.bundles
    return renderer, parameters


def metallic_of(parameters: Parameters) -> torch.Tensor:
    bundle = parameters.bundles[0]
    return bundle.data.detach()[..., slice(*bundle.channels["metallic"])]


def try_both(renderer: Renderer, parameters: Parameters, paint_error: torch.Tensor, metal_error: torch.Tensor) -> None:
    """Both hypotheses with these squared errors [SIZE, SIZE] of a picture that shows texel for pixel."""
    projection = Projection.of(renderer.scene.cameras["Camera"], SIZE, SIZE)
    view = build_view(renderer.corners, projection, margin=1)
    cached = CachedView(view, torch.ones(3) / 3, torch.ones(3) / 3, torch.zeros(0, 2), 0)
    for name, value, error in (("paint", 0.0, paint_error), ("metal", 1.0, metal_error)):
        if value > 0:
            hypotheses.restart(parameters)
        hypotheses.hold(parameters, value)
        assert (metallic_of(parameters) == value).all()
        residuals = hypotheses.Residuals(parameters, "cpu")
        residuals.add(renderer, cached, error, torch.ones(SIZE, SIZE))
        residuals.remember(name)


def test_each_part_becomes_what_explains_it() -> None:
    renderer, parameters = prepared("base_color", "metallic", "roughness")
    bundle = parameters.bundles[0]
    with torch.no_grad():  # two substances of different colour
        bundle.data[:, : SIZE // 2, :3] = 0.2
        bundle.data[:, SIZE // 2 :, :3] = 0.8
    left = torch.zeros(SIZE, SIZE)
    left[:, : SIZE // 2] = 1.0
    good, bad = 0.0005, 0.02
    try_both(renderer, parameters, good * left + bad * (1 - left), bad * left + good * (1 - left))
    hypotheses.decide(parameters, seed=0)
    found = metallic_of(parameters)[..., 0]
    assert (found[:, : SIZE // 2 - 1] < 0.1).all()
    assert (found[:, SIZE // 2 + 1 :] > 0.9).all()
    assert parameters.bundles[0].data.requires_grad
    assert not parameters.memory  # nothing is left that a checkpoint would carry along


@pytest.mark.parametrize("better", ["paint", "metal"])
def test_one_substance_is_decided_as_one(better: str) -> None:
    """Single texels that say otherwise are noise."""
    renderer, parameters = prepared("base_color", "metallic")
    generator = torch.Generator().manual_seed(3)
    odd = (torch.rand(SIZE, SIZE, generator=generator) < 0.1).float()
    low, high = 0.001 + 0.01 * odd, torch.full((SIZE, SIZE), 0.006)
    errors = (low, high) if better == "paint" else (high, low)
    try_both(renderer, parameters, *errors)
    hypotheses.decide(parameters, seed=1)
    found = metallic_of(parameters)
    assert (found < 0.2).all() if better == "paint" else (found > 0.8).all()


def test_equal_evidence_is_paint() -> None:
    renderer, parameters = prepared("base_color", "metallic")
    same = torch.full((SIZE, SIZE), 0.004)
    try_both(renderer, parameters, same, same)
    hypotheses.decide(parameters, seed=1)
    assert (metallic_of(parameters) < 0.1).all()


def test_same_seed_same_verdict() -> None:
    found = []
    for _ in range(2):
        renderer, parameters = prepared("base_color", "metallic")
        generator = torch.Generator().manual_seed(5)
        errors = torch.rand(2, SIZE, SIZE, generator=generator) * 0.01
        try_both(renderer, parameters, *errors)
        hypotheses.decide(parameters, seed=7)
        found.append(metallic_of(parameters))
    assert np.array_equal(found[0].numpy(), found[1].numpy())


def test_where_only_one_of_both_is_fitted_nothing_is_tried() -> None:
    for target in ("base_color", "metallic"):
        _, parameters = prepared(target)
        assert not any(hypotheses.applies_to(bundle) for bundle in parameters.bundles)
        before = parameters.state()
        hypotheses.hold(parameters, 1.0)
        hypotheses.restart(parameters)
        assert all(torch.equal(before[name], tensor) for name, tensor in parameters.state().items())
