# SPDX-License-Identifier: GPL-3.0-or-later
"""Rough diffuse surfaces: the energy that must come back, and gradients against a slow float64 implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from likeness.engine.shading.rough_diffuse import rough_rows, shade_rough
from likeness.engine.shading.samples import Samples
from likeness.engine.shading.shade import PixelFrames

from .by_hand import above, constant_samples, tensor, unit

COUNT, STEP = 400, 1e-6


def _g(c: np.ndarray) -> np.ndarray:
    s = np.sqrt(1 - c * c)
    return s * (np.arccos(c) - s * c - 2 / 3) + 2 / 3 * s / c * (1 - s**3)


def reference(albedo, sigma, n, v, l):
    """f times cosine [N, 3] in float64, by the formulas of the module's docstring; the weight is the albedo."""
    nl, nv, lv = ((a * b).sum(-1, keepdims=True) for a, b in ((n, l), (n, v), (l, v)))
    a = 1 / (np.pi + sigma * (np.pi / 2 - 2 / 3))
    b = sigma * a
    t = lv - nl * nv
    t = np.where(t > 0, t / np.maximum(nl, nv), t)
    mean = np.pi * a + (2 * np.pi - 5.6) / 3 * b
    again = albedo**2 / np.pi * mean / (1 - mean) / (1 - albedo * (1 - mean))
    again = again * (1 - np.pi * a - b * _g(nv)) * (1 - np.pi * a - b * _g(nl))
    return albedo * nl * (a + b * t + again)


class Case:
    """Random surfaces under one light each."""

    def __init__(self) -> None:
        rng = np.random.default_rng(8)
        self.albedo = rng.uniform(0.1, 0.9, (COUNT, 3)).astype(np.float32).astype(np.float64)
        self.sigma = rng.uniform(0.1, 1.0, (COUNT, 1)).astype(np.float32).astype(np.float64)
        self.normal = unit(rng.normal(size=(COUNT, 3))).astype(np.float32).astype(np.float64)
        self.view, self.light = (above(self.normal, rng, 0.15).astype(np.float32).astype(np.float64) for _ in range(2))
        self.cotangent = rng.normal(size=(COUNT, 3))
        flat = tensor(self.normal)
        self.frames = PixelFrames(flat, flat, tensor(self.view), torch.zeros(COUNT))


def radiance(case: Case, albedo, sigma, normal, samples: Samples) -> torch.Tensor:
    lobes = torch.cat([albedo, torch.zeros(len(albedo), 14)], dim=1)
    rows = rough_rows(lobes, albedo, sigma, normal, case.frames)
    return shade_rough(rows, normal, torch.zeros(1, 3), torch.zeros(1, 1, 3), case.frames, samples)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


@pytest.fixture(scope="module")
def engine(case: Case) -> tuple[np.ndarray, ...]:
    """Values, and gradients by albedo, roughness and normal."""
    given = [tensor(value).requires_grad_() for value in (case.albedo, case.sigma, case.normal)]
    out = radiance(case, *given, constant_samples(case.light[:, None]))
    (out * tensor(case.cotangent)).sum().backward()
    return out.detach().double().numpy(), *(value.grad.double().numpy() for value in given)


def test_values(case: Case, engine) -> None:
    expected = reference(case.albedo, case.sigma, case.normal, case.view, case.light)
    assert np.abs(engine[0] - expected).max() < 1e-4 * expected.max()


@pytest.mark.parametrize("which", [0, 1, 2])
def test_gradients_by_albedo_roughness_and_normal(which: int, case: Case, engine) -> None:
    given = [case.albedo, case.sigma, case.normal]
    for column in range(given[which].shape[1]):
        sides = []
        for sign in (1, -1):
            moved = [value.copy() for value in given]
            moved[which][:, column] += sign * STEP
            sides.append(reference(*moved, case.view, case.light))
        expected = ((sides[0] - sides[1]) * case.cotangent).sum(-1) / (2 * STEP)
        found = engine[1 + which][:, column]
        # the model has a kink where t changes its sign or n·l and n·v are equal
        cosines = [(case.normal * other).sum(-1) for other in (case.view, case.light)]
        t = (case.light * case.view).sum(-1) - cosines[0] * cosines[1]
        kept = (np.abs(t) > 1e-3) & (np.abs(cosines[0] - cosines[1]) > 1e-3)
        assert kept.sum() > 0.9 * COUNT
        assert np.abs(found - expected)[kept].max() < 1e-2 * np.percentile(np.abs(expected), 90)


@pytest.mark.parametrize("sigma", [0.0, 0.3, 1.0])
def test_a_white_surface_returns_all_light(sigma: float) -> None:
    """White furnace: what the energy term is made for."""
    side = 96
    z = (np.arange(side) + 0.5) / side
    phi = (np.arange(side) + 0.5) / side * 2 * np.pi
    z, phi = (x.ravel() for x in np.meshgrid(z, phi, indexing="ij"))
    radius = np.sqrt(1 - z * z)
    light = np.stack([radius * np.cos(phi), radius * np.sin(phi), z], axis=-1)
    case = Case()
    cosine = np.linspace(0.05, 1.0, 12)
    view = np.stack([np.sqrt(1 - cosine**2), np.zeros(12), cosine], axis=-1)
    up = np.tile([0.0, 0.0, 1.0], (12, 1))
    case.frames = PixelFrames(tensor(up), tensor(up), tensor(view), torch.zeros(12))
    samples = constant_samples(np.tile(light, (12, 1, 1)))
    white = torch.ones(12, 3)
    found = radiance(case, white, torch.full((12, 1), sigma), tensor(up), samples) * (2 * np.pi / len(light))
    # Fujii's mean albedo is rounded to three digits
    assert torch.allclose(found, white, atol=4e-3)
