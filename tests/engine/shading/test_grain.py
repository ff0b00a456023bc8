# SPDX-License-Identifier: GPL-3.0-or-later
"""Anisotropy: random materials against Cycles, values and the hand-written backward against the float64 reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from likeness.engine.shading.grain import grained, shade_grain, without_grain
from likeness.engine.shading.lobes import lobe_weights
from likeness.engine.shading.samples import Samples
from likeness.engine.shading.shade import PixelFrames, shade
from tests.reference.principled import Principled, evaluate, stretched_core
from tests.scenes import build
from tests.scenes.catalogue import normal_pixels
from tests.scenes.cycles import render_cycles

from .by_hand import above, constant_samples, random_material, rounded, surface_rows, tensor, unit

COUNT, STEP = 600, 1e-6
COLUMNS = {"base_color": [0, 1, 2], "metallic": [3], "roughness": [4], "specular_tint": [7, 8, 9]}


def single(values: np.ndarray) -> np.ndarray:
    """As float32 holds them."""
    return values.astype(np.float32).astype(np.float64)


class Case:
    """Random materials under one light each, with alpha_x clamped and not, a quarter of them without a grain."""

    def __init__(self) -> None:
        rng = np.random.default_rng(51)
        colours = {"base_color": rng.uniform(0.2, 0.95, (COUNT, 3)), "specular_tint": rng.uniform(0.5, 0.9, (COUNT, 3))}
        roughness = (rng.integers(2, 15, COUNT) + 0.25) / 15
        scalars = {"metallic": rng.uniform(0.1, 0.9, COUNT), "roughness": roughness}
        base = replace(random_material(rng, COUNT), **colours, **scalars, specular_level=np.full(COUNT, 0.5))
        self.base = rounded(base)
        self.amount = np.where(np.arange(COUNT) % 4 > 0, rng.uniform(0.1, 1.0, COUNT), 0.0)
        self.turn = rng.uniform(0.0, 2 * np.pi, COUNT)
        self.normal = single(unit(rng.normal(size=(COUNT, 3))))
        self.view, self.light = (single(above(self.normal, rng, 0.2)) for _ in range(2))
        # a tangent of any length that is not quite perpendicular to the normal
        self.tangent = single(rng.uniform(0.3, 2.0, (COUNT, 1)) * above(np.cross(self.normal, self.view), rng, 0.4))
        self.cotangent = rng.normal(size=(COUNT, 3))
        flat = tensor(self.normal)
        self.frames = PixelFrames(flat, flat, tensor(self.view), torch.zeros(COUNT))
        aspect = np.where(self.amount > 0, np.sqrt(1 - 0.9 * self.amount), 0.0)
        columns = [self.tangent, np.stack([aspect, np.cos(self.turn), np.sin(self.turn)], axis=-1)]
        self.grain = tensor(np.concatenate(columns, axis=1))
        self.samples = constant_samples(self.light[:, None])

    def expected(self, base: Principled, normal: np.ndarray) -> np.ndarray:
        """f·cos in float64."""
        core, roughness = stretched_core(
            normal, self.view, self.light, self.tangent, base.roughness, self.amount, self.turn
        )
        return evaluate(replace(base, roughness=roughness), normal, self.view, self.light, core)

    def radiance(self, surface: torch.Tensor, normal: torch.Tensor, samples: Samples, *light: torch.Tensor):
        """The same by the engine."""
        lobes = lobe_weights(grained(surface, self.grain), normal, self.frames.geometric, self.frames.view)
        inputs = normal, *light, self.frames, samples
        return shade(without_grain(lobes, self.grain), *inputs) + shade_grain(lobes, *inputs, self.grain)


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


@pytest.fixture(scope="module")
def engine(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The engine's values and gradients with respect to surface rows and normals."""
    surface = tensor(surface_rows(case.base, COUNT)).requires_grad_()
    normal = tensor(case.normal).requires_grad_()
    out = case.radiance(surface, normal, case.samples, torch.zeros(1, 3), torch.zeros(1, 1, 3))
    (out * tensor(case.cotangent)).sum().backward()
    return out.detach().double().numpy(), surface.grad.double().numpy(), normal.grad.double().numpy()


def amid_nodes(case: Case) -> np.ndarray:
    """Where the energy tables have a slope: away from their nodes."""
    _, roughness = stretched_core(
        case.normal, case.view, case.light, case.tangent, case.base.roughness, case.amount, case.turn
    )
    kept = np.ones(COUNT, bool)
    for x in (roughness, np.sum(case.normal * case.view, -1)):
        for nodes in (15, 31):
            kept &= np.abs(x * nodes - np.round(x * nodes)) > 1e-3
    assert kept.sum() > 0.9 * COUNT
    return kept


def assert_slopes(case: Case, found: np.ndarray, up: np.ndarray, down: np.ndarray) -> None:
    kept = amid_nodes(case)
    expected = ((up - down) * case.cotangent).sum(-1) / (2 * STEP)
    # against the size of all slopes of this kind: single ones pass through zero
    assert np.abs(found - expected)[kept].max() < 1e-2 * np.percentile(np.abs(expected), 90)


def test_values_are_those_of_the_reference(case: Case, engine) -> None:
    clamped = case.base.roughness**2 > np.sqrt(1 - 0.9 * case.amount)
    assert clamped.sum() > COUNT / 20
    expected = case.expected(case.base, case.normal)
    assert (np.abs(engine[0] - expected) / expected.max(axis=-1, keepdims=True)).max() < 1e-3


@pytest.mark.parametrize("name", COLUMNS)
def test_gradients_by_the_material(name: str, case: Case, engine) -> None:
    value = np.asarray(getattr(case.base, name))
    for channel, column in enumerate(COLUMNS[name]):
        step = STEP * (np.eye(3)[channel] if value.ndim == 2 else 1.0)
        sides = [case.expected(replace(case.base, **{name: value + sign * step}), case.normal) for sign in (1, -1)]
        assert_slopes(case, engine[1][:, column], *sides)


def test_gradients_by_turns_of_the_normal(case: Case, engine) -> None:
    rng = np.random.default_rng(12)
    for _ in range(2):
        tangent = unit(np.cross(case.normal, rng.normal(size=case.normal.shape)))
        sides = [case.expected(case.base, unit(case.normal + sign * STEP * tangent)) for sign in (1, -1)]
        assert_slopes(case, (engine[2] * tangent).sum(-1), *sides)


@pytest.mark.parametrize("index", [0, 1])
def test_gradients_by_light_are_the_transpose(index: int, case: Case) -> None:
    """Radiance is linear in each light's colour and in each texel: <g, J d> = <Jᵀ g, d>."""
    rng = np.random.default_rng(5)
    samples = Samples(
        tensor(np.stack([above(case.normal, rng, 0.1) for _ in range(5)], axis=1)),
        tensor(rng.uniform(0.2, 1.0, (COUNT, 5, 3))),
        torch.from_numpy(rng.integers(-2, 3, (COUNT, 5)).astype(np.int32)),
        torch.full((COUNT,), 5, dtype=torch.int32),
    )
    light = [tensor(rng.uniform(0.1, 3.0, (3, 3))), tensor(rng.uniform(0.1, 2.0, (5, 11, 3)))]
    surface, normal = tensor(surface_rows(case.base, COUNT)), tensor(case.normal)

    def value(*light: torch.Tensor) -> torch.Tensor:
        return (case.radiance(surface, normal, samples, *light) * tensor(case.cotangent)).double()

    leaves = [x.clone().requires_grad_() for x in light]
    value(*leaves).sum().backward()
    direction = torch.from_numpy(rng.uniform(0.5, 1.0, light[index].shape).astype(np.float32))
    moved = list(light)
    moved[index] = moved[index] + direction
    difference = value(*moved) - value(*light)
    found = float((leaves[index].grad.double() * direction).sum())
    assert abs(found - float(difference.sum())) < 1e-5 * float(difference.abs().sum())


def _error(look: dict[str, object], path: Path, *, tangent: str, bent: bool, squeeze: bool, size: int = 48) -> float:
    """Mean error of the engine's picture of a ball, relative to the mean of Cycles'; one ray a pixel is exact."""
    scene = build.new_scene()
    maps = (
        {"normal": build.add_image("Normal", normal_pixels(waves=3, slope=0.4), "Non-Color", is_float=True)}
        if bent
        else {}
    )
    ball = build.add_sphere("Ball", build.add_material("Ball", **look, **maps, tangent=tangent), location=(0, 0, 0))
    if squeeze:
        ball.scale, ball.rotation_euler = (1.0, 0.7, 1.3), (0.3, 0.5, 0.2)
    build.add_light("POINT", (1.8, -2.4, 2.3), energy=600.0, color=(1.0, 0.8, 0.6), shadow_soft_size=0.0)
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    camera = build.add_camera("Camera", (0.5, -4.0, 1.5), (0.0, 0.0, 0.0), lens=60.0)
    film = {"width": size, "height": size, "samples": 1, "direct_only": True}
    expected = render_cycles(scene, camera, path / "ball.exr", **film)[..., :3]
    found = render(read_scene(scene), camera.name, size, size, samples=1, direct_only=True)[..., :3]
    assert expected.max() > 0
    return float(np.abs(found - expected).mean() / expected.mean())


@pytest.mark.parametrize("number", range(6))
def test_random_materials_are_those_of_cycles(number: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(60 + number)
    look: dict[str, object] = {
        "base_color": tuple(rng.uniform(0.05, 0.8, 3)), "metallic": float(rng.choice([0.0, 0.5, 1.0])),
        "roughness": float(rng.uniform(0.3, 0.9)), "anisotropic": float(rng.uniform(0.3, 1.0)),
        "anisotropic_rotation": float(rng.uniform(0.0, 1.0)),
    }  # fmt: skip
    tangent = ["", "UV", "X", "Y", "Z", ""][number]
    assert _error(look, tmp_path, tangent=tangent, bent=number in (1, 5), squeeze=number == 4) < 0.01
