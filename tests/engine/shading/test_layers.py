# SPDX-License-Identifier: GPL-3.0-or-later
"""Coat and sheen: values against Cycles on random materials, values and hand-written backwards against the float64
reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import Renderer, render
from likeness.engine.shading.layers import BELOW, layer_rows, seen_below, shade_layers
from likeness.engine.shading.lobes import lobe_weights
from likeness.engine.shading.samples import Samples
from likeness.engine.shading.shade import PixelFrames, shade
from tests.reference.layers import LayeredSockets, evaluate_layered
from tests.reference.principled import Principled
from tests.scenes import build
from tests.scenes.cycles import render_cycles

from .by_hand import above, constant_samples, random_material, rounded, surface_rows, tensor, unit

COUNT, LIGHTS, STEP = 600, 3, 1e-6
COLUMNS = {"base_color": [0, 1, 2], "metallic": [3], "roughness": [4], "specular_tint": [7, 8, 9]}


def between_nodes(rng: np.random.Generator, lowest: int) -> np.ndarray:
    """Roughness amid the nodes of all tables, where the slope is well defined."""
    return (rng.integers(lowest, 15, COUNT) + 0.25) / 15


class Case:
    """Random layered materials with bent normals under one light each; a third has coat, sheen and both."""

    def __init__(self) -> None:
        rng = np.random.default_rng(31)
        third = COUNT // 3
        self.layers = LayeredSockets(
            coat_weight=np.where(np.arange(COUNT) < 2 * third, rng.uniform(0.1, 0.9, COUNT), 0.0),
            coat_roughness=between_nodes(rng, 3),
            coat_ior=rng.uniform(1.05, 2.2, COUNT),
            coat_tint=rng.uniform(0.2, 1.0, (COUNT, 3)),
            sheen_weight=np.where(np.arange(COUNT) >= third, rng.uniform(0.2, 1.0, COUNT), 0.0),
            sheen_roughness=between_nodes(rng, 3),
            sheen_tint=rng.uniform(0.2, 1.0, (COUNT, 3)),
        )
        colours = {"base_color": rng.uniform(0.2, 0.95, (COUNT, 3)), "specular_tint": rng.uniform(0.5, 0.9, (COUNT, 3))}
        scalars = {"metallic": rng.uniform(0.1, 0.9, COUNT), "roughness": between_nodes(rng, 1)}
        base = replace(random_material(rng, COUNT), **colours, **scalars, specular_level=np.full(COUNT, 0.5))
        self.base = rounded(base)
        self.smooth = single(unit(rng.normal(size=(COUNT, 3))))
        self.view, self.light = (single(above(self.smooth, rng, 0.4)) for _ in range(2))
        bent = unit(self.smooth + 0.15 * rng.normal(size=(COUNT, 3)))
        mirror = 2 * np.sum(bent * self.view, -1, keepdims=True) * bent - self.view
        high = np.sum(mirror * self.smooth, -1) > 0.02  # the reference knows no lifted normals
        assert high.sum() > 0.9 * COUNT
        self.normal = single(np.where(high[:, None], bent, self.smooth))
        self.cotangent = rng.normal(size=(COUNT, 3))
        geometric = tensor(self.smooth)
        self.frames = PixelFrames(geometric, geometric, tensor(self.view), torch.zeros(COUNT))
        self.sockets = tensor(socket_rows(self.layers))
        self.samples = constant_samples(self.light[:, None])
        # the scene's sockets are those that the engine gets
        self.layers.sheen_tint = self.sockets[:, 6:9].double().numpy()
        self.layers.sheen_weight = np.ones(COUNT)
        for name, columns in {"coat_weight": 0, "coat_roughness": 1, "coat_ior": 2, "coat_tint": slice(3, 6)}.items():
            setattr(self.layers, name, self.sockets[:, columns].double().numpy())

    def expected(self, base: Principled, normal: np.ndarray) -> np.ndarray:
        """Reflected light and an emission of 1, in float64."""
        return sum(evaluate_layered(self.layers, base, normal, self.smooth, self.view, self.light))

    def radiance(self, surface: torch.Tensor, normal: torch.Tensor, samples: Samples, *light: torch.Tensor):
        """The same by the engine."""
        lobes = lobe_weights(surface, normal, self.frames.geometric, self.frames.view)
        layers = layer_rows(self.sockets, normal, self.frames)
        inputs = normal, *light, self.frames, samples
        return shade(seen_below(lobes, layers), *inputs) + layers[:, BELOW] + shade_layers(layers, *inputs)


def single(values: np.ndarray) -> np.ndarray:
    """As float32 holds them."""
    return values.astype(np.float32).astype(np.float64)


def socket_rows(s: LayeredSockets) -> np.ndarray:
    columns = [s.coat_weight, s.coat_roughness, s.coat_ior, *s.coat_tint.T]
    return np.stack([*columns, *(s.sheen_weight * s.sheen_tint.T), s.sheen_roughness], axis=-1)


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


def slope(case: Case, up: np.ndarray, down: np.ndarray) -> np.ndarray:
    return ((up - down) * case.cotangent).sum(-1) / (2 * STEP)


def assert_slopes(found: np.ndarray, expected: np.ndarray) -> None:
    # against the size of all slopes of this kind: single ones pass through zero
    assert np.abs(found - expected).max() < 1e-2 * np.percentile(np.abs(expected), 90)


def test_values_are_those_of_the_reference(case: Case, engine) -> None:
    expected = case.expected(case.base, case.normal)
    assert engine[0] == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", COLUMNS)
def test_gradients_by_the_base_material(name: str, case: Case, engine) -> None:
    value = np.asarray(getattr(case.base, name))
    for channel, column in enumerate(COLUMNS[name]):
        step = STEP * (np.eye(3)[channel] if value.ndim == 2 else 1.0)
        sides = [case.expected(replace(case.base, **{name: value + sign * step}), case.normal) for sign in (1, -1)]
        assert_slopes(engine[1][:, column], slope(case, *sides))


def test_gradients_by_turns_of_the_normal(case: Case, engine) -> None:
    rng = np.random.default_rng(12)
    mixed = unit(case.normal * (1 - case.layers.coat_weight[:, None]) + case.smooth * case.layers.coat_weight[:, None])
    smooth = np.ones(COUNT, bool)
    for normal in (case.normal, mixed):
        for nodes in (31, 15):
            x = np.sum(normal * case.view, -1) * nodes
            smooth &= np.abs(x - np.round(x)) > 1e-3
    assert smooth.sum() > 0.9 * COUNT
    for _ in range(2):
        tangent = unit(np.cross(case.normal, rng.normal(size=case.normal.shape)))
        sides = [case.expected(case.base, unit(case.normal + sign * STEP * tangent)) for sign in (1, -1)]
        assert_slopes((engine[2] * tangent).sum(-1)[smooth], slope(case, *sides)[smooth])


@pytest.mark.parametrize("which", ["lights", "environment"])
def test_gradients_by_light_are_the_transpose(which: str, case: Case) -> None:
    """Radiance is linear in each light's colour and in each texel: <g, J d> = <Jᵀ g, d>."""
    rng = np.random.default_rng(5)
    samples = Samples(
        tensor(np.stack([above(case.smooth, rng, 0.1) for _ in range(5)], axis=1)),
        tensor(rng.uniform(0.2, 1.0, (COUNT, 5, 3))),
        torch.from_numpy(rng.integers(-2, LIGHTS, (COUNT, 5)).astype(np.int32)),
        torch.full((COUNT,), 5, dtype=torch.int32),
    )
    light = [tensor(rng.uniform(0.1, 3.0, (LIGHTS, 3))), tensor(rng.uniform(0.1, 2.0, (5, 11, 3)))]
    index = ["lights", "environment"].index(which)
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


def _draws(count: int) -> list[dict[str, object]]:
    """Random looks; every second one has coat, all have sheen or coat."""
    rng = np.random.default_rng(41)
    looks: list[dict[str, object]] = []
    for number in range(count):
        look: dict[str, object] = {
            "base_color": tuple(rng.uniform(0.02, 0.8, 3)), "metallic": float(rng.choice([0.0, 1.0, 0.4])),
            "roughness": float(rng.uniform(0.3, 1.0)),
        }  # fmt: skip
        if number % 3 != 1:
            look |= {"coat_weight": float(rng.uniform(0.2, 1.0)), "coat_roughness": float(rng.uniform(0.15, 0.8))}
            look |= {"coat_ior": float(rng.uniform(1.1, 2.2)), "coat_tint": tuple(rng.uniform(0.3, 1.0, 3))}
        if number % 3 != 0:
            look |= {"sheen_weight": float(rng.uniform(0.2, 1.0)), "sheen_roughness": float(rng.uniform(0.1, 1.0))}
            look |= {"sheen_tint": tuple(rng.uniform(0.2, 1.0, 3))}
        looks.append(look)
    return looks


def _plane(
    look: dict[str, object],
    normal: Callable[[], bpy.types.Image] | None = None,
    maps: Callable[[], dict[str, bpy.types.Image]] = dict,
) -> bpy.types.Object:
    scene = build.new_scene()
    bent = None if normal is None else normal()
    build.add_plane("Plane", build.add_material("Plane", **look, normal=bent, maps=maps()), size=40.0)
    build.add_light("POINT", (0.7, 0.4, 1.3), energy=100.0, color=(1.0, 0.8, 0.6), shadow_soft_size=0.0)
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    return build.add_camera("Camera", (0.3, -1.6, 1.2), (0.2, 0.3, 0.0), lens=22.0)


def _error(camera: bpy.types.Object, path: Path, size: int = 40) -> float:
    """Mean error of the engine's picture, relative to the mean of Cycles'. One ray a pixel is exact in both."""
    scene = bpy.context.scene
    film = {"width": size, "height": size, "samples": 1, "direct_only": True}
    expected = render_cycles(scene, camera, path / "plane.exr", **film)[..., :3]
    found = render(read_scene(scene), camera.name, size, size, samples=1, direct_only=True)[..., :3]
    return float(np.abs(found - expected).mean() / expected.mean())


@pytest.mark.parametrize("number", range(6))
def test_random_materials_are_those_of_cycles(number: int, tmp_path: Path) -> None:
    assert _error(_plane(_draws(6)[number]), tmp_path) < 0.01


@pytest.mark.parametrize("coat", [0.0, 0.4])
def test_layers_on_a_normal_map(coat: float, tmp_path: Path) -> None:
    """The coat is smooth, the sheen bent as far as there is no coat."""
    look = {"base_color": (0.5, 0.2, 0.1), "roughness": 0.6, "sheen_weight": 0.8, "sheen_roughness": 0.6}
    look |= {"coat_weight": coat, "coat_roughness": 0.3}
    assert _error(_plane(look, lambda: _flat((0.25, 0.15, 1.0), "Bent")), tmp_path) < 0.01


def _flat(direction: tuple[float, float, float], name: str) -> bpy.types.Image:
    values = np.broadcast_to(0.5 + 0.5 * unit(np.array(direction)), (4, 4, 3))
    return build.add_image(name, values, "Non-Color", is_float=True)


@pytest.mark.parametrize("strength", [1.0, 3.0])
def test_a_coat_with_a_normal_map_of_its_own(strength: float, tmp_path: Path) -> None:
    """Base and coat are bent to different sides, the sheen to one between; at some pixels mirrored rays dive."""
    look = {"base_color": (0.5, 0.2, 0.1), "roughness": 0.4, "sheen_weight": 0.7, "sheen_roughness": 0.4}
    look |= {"coat_weight": 0.6, "coat_roughness": 0.35, "coat_tint": (0.9, 0.6, 0.4)}
    camera = _plane(look, lambda: _flat((0.25, 0.15, 1.0), "Base"))
    tree = bpy.data.materials["Plane"].node_tree
    node = tree.nodes.new("ShaderNodeNormalMap")
    node.inputs["Strength"].default_value = strength
    image = tree.nodes.new("ShaderNodeTexImage")
    image.image = _flat((-0.2, 0.3, 1.0), "Coat")
    tree.links.new(image.outputs["Color"], node.inputs["Color"])
    tree.links.new(node.outputs["Normal"], tree.nodes["Principled BSDF"].inputs["Coat Normal"])
    assert _error(camera, tmp_path) < 0.01


def test_layers_from_textures(tmp_path: Path) -> None:
    """Every socket of coat and sheen differs from place to place."""
    rng = np.random.default_rng(8)
    names = {
        "coat_weight": 1,
        "coat_roughness": 1,
        "coat_tint": 3,
        "sheen_weight": 1,
        "sheen_roughness": 1,
        "sheen_tint": 3,
    }
    look: dict[str, object] = {"base_color": (0.4, 0.2, 0.1), "roughness": 0.5}

    def maps() -> dict[str, bpy.types.Image]:
        made = {
            name: build.add_image(name, rng.uniform(0.2, 0.9, (64, 64, size)), "Non-Color", is_float=True)
            for name, size in names.items()
        }
        values = rng.uniform(1.2, 2.0, (64, 64, 1))
        return made | {"coat_ior": build.add_image("coat_ior", values, "Non-Color", is_float=True)}

    camera = _plane(look, maps=maps)
    assert _error(camera, tmp_path) < 0.01


def test_emission_shines_through_coat_and_sheen(tmp_path: Path) -> None:
    look = {"base_color": (0.0, 0.0, 0.0), "emission_color": (0.5, 1.0, 0.2), "emission_strength": 2.0}
    look |= {"coat_weight": 0.7, "coat_tint": (0.9, 0.4, 0.6), "coat_roughness": 0.3, "sheen_weight": 0.5}
    assert _error(_plane(look), tmp_path) < 0.01


def test_scenes_without_layers_have_none() -> None:
    """Nothing is computed for layers that are not there."""
    camera = _plane({"coat_roughness": 0.5, "sheen_roughness": 0.3})
    renderer = Renderer(read_scene(bpy.context.scene), "cpu")
    assert camera is not None
    assert all(material.coat_weight.value == 0.0 for material in renderer.bank.materials)
