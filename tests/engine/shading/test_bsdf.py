# SPDX-License-Identifier: GPL-3.0-or-later
"""Lobe weights and specular core together against the slow reference, which is checked against Cycles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import warp as wp

from likeness.engine.ops.launch import launch
from likeness.engine.shading.bsdf import lift_normal
from likeness.engine.shading.lobes import lobe_weights
from likeness.engine.shading.shade import shade
from tests.reference.principled import Principled, evaluate

from .by_hand import (
    above,
    constant_samples,
    frames_of,
    random_material,
    random_rotation,
    rounded,
    surface_rows,
    tensor,
    unit,
)


def engine_values(material: Principled, normal: np.ndarray, view: np.ndarray, light: np.ndarray) -> np.ndarray:
    """f cos [N, 3] of the kernels."""
    frames = frames_of(normal, view)
    lobes = lobe_weights(tensor(surface_rows(material, len(normal))), tensor(normal), frames.geometric, frames.view)
    black = torch.zeros(1, 1, 3)
    out = shade(lobes, tensor(normal), black[0], black, frames, constant_samples(light[:, None]))
    return out.numpy().astype(np.float64)


def as_float32(*directions: np.ndarray) -> list[np.ndarray]:
    return [x.astype(np.float32).astype(np.float64) for x in directions]


def assert_close(found: np.ndarray, expected: np.ndarray) -> None:
    # Relative to the largest channel: a channel that a tint takes away is the difference of two like numbers.
    scale = expected.max(axis=-1, keepdims=True)
    assert (scale > 0).all()
    assert (np.abs(found - expected) / scale).max() < 1e-3


@pytest.mark.parametrize("multiscatter", [True, False])
def test_random_materials_and_directions(multiscatter: bool) -> None:
    rng = np.random.default_rng(1)
    count = 4000
    material = random_material(rng, count, multiscatter)
    normal = unit(rng.normal(size=(count, 3)))
    normal, view, light = as_float32(normal, above(normal, rng), above(normal, rng))
    assert_close(engine_values(material, normal, view, light), evaluate(material, normal, view, light))


def test_around_the_highlight() -> None:
    """Half vectors drawn from the lobe itself, where it is high and steep."""
    rng = np.random.default_rng(2)
    count = 4000
    material = random_material(rng, count)
    normal = unit(rng.normal(size=(count, 3)))
    u = rng.uniform(0.0, 0.99, count)
    tangent = np.asarray(material.roughness) ** 2 * np.sqrt(u / (1.0 - u))
    half = unit(normal + tangent[:, None] * unit(np.cross(normal, rng.normal(size=(count, 3)))))
    view = above(normal, rng, 0.2)
    light = 2.0 * np.sum(half * view, -1, keepdims=True) * half - view
    kept = np.sum(light * normal, -1) > 0.05
    normal, view, light = as_float32(normal[kept], view[kept], light[kept])
    material = Principled(
        **{name: value if name == "multiscatter" else np.asarray(value)[kept] for name, value in vars(material).items()}
    )
    assert kept.sum() > 2000
    assert_close(engine_values(material, normal, view, light), evaluate(material, normal, view, light))


@pytest.mark.parametrize(
    "material",
    [
        Principled(specular_level=0.0),
        Principled(ior=1.0),
        Principled(base_color=np.zeros(3)),
        Principled(base_color=np.ones(3), metallic=1.0, roughness=1.0),
        Principled(base_color=np.array([1.6, 0.2, 0.0]), metallic=0.5),  # the diffuse lobe is not clamped
        Principled(specular_level=1.0, ior=2.5, specular_tint=np.array([1.0, 0.0, 3.0])),
        Principled(roughness=0.05, metallic=1.0, specular_tint=np.full(3, 0.3)),
    ],
    ids=lambda m: f"{m.metallic} {m.roughness} {m.ior} {m.specular_level}",
)
def test_ends_of_the_sockets(material: Principled) -> None:
    rng = np.random.default_rng(3)
    normal = np.tile(random_rotation(4)[2], (500, 1))
    normal, view, light = as_float32(normal, above(normal, rng), above(normal, rng))
    material = rounded(material)
    assert_close(engine_values(material, normal, view, light), evaluate(material, normal, view, light))


def test_nothing_from_below() -> None:
    rng = np.random.default_rng(5)
    normal = unit(rng.normal(size=(500, 3)))
    found = engine_values(random_material(rng, 500), normal, above(normal, rng), -above(normal, rng))
    assert np.array_equal(found, np.zeros((500, 3)))


@wp.kernel(enable_backward=False)
def _lift_kernel(
    start: int,
    slot: int,
    normal: wp.array(dtype=wp.vec3),
    geometric: wp.array(dtype=wp.vec3),
    view: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    out[i] = lift_normal(normal[i], geometric[i], view[i])


def test_lifted_normal_reflects_the_view_out_of_the_surface() -> None:
    """The definition: mirrored view at least min(.9 V.Ng, .01) high, by a turn of the normal towards Ng, and no turn
    where it was high enough."""
    rng = np.random.default_rng(6)
    geometric = unit(rng.normal(size=(3000, 3)))
    view = above(geometric, rng, 0.02)
    normal = above(geometric, rng, 0.1)
    kept = np.sum(normal * view, -1) > 0.05
    geometric, view, normal = geometric[kept], view[kept], normal[kept]
    out = torch.zeros(len(normal), 3)
    arrays = [wp.from_torch(x, dtype=wp.vec3) for x in (tensor(normal), tensor(geometric), tensor(view), out)]
    launch(_lift_kernel, len(normal), arrays, "cpu")
    lifted = out.numpy().astype(np.float64)

    def height(n: np.ndarray) -> np.ndarray:
        return 2 * np.sum(n * view, -1) * np.sum(n * geometric, -1) - np.sum(view * geometric, -1)

    threshold = np.minimum(0.9 * np.sum(view * geometric, -1), 0.01)
    before = height(normal)
    low, high = before < threshold - 1e-5, before > threshold + 1e-5
    assert low.sum() > 100
    assert high.sum() > 100
    assert np.abs(lifted[high] - normal[high]).max() < 1e-6
    assert np.linalg.norm(lifted, axis=-1) == pytest.approx(1.0, abs=1e-5)
    assert height(lifted)[low] == pytest.approx(threshold[low], abs=2e-5)
    off_plane = np.sum(np.cross(normal, geometric) * lifted, -1)[low]
    assert np.abs(off_plane).max() < 1e-5
    assert (np.sum(lifted * geometric, -1) - np.sum(normal * geometric, -1))[low].min() > 0
