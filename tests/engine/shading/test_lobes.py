# SPDX-License-Identifier: GPL-3.0-or-later
"""Derivatives of reflected light with respect to material and normal, against central differences of the float64
reference. They run through the hand-written backwards of `lobe_weights` and `shade`; the former also against Warp's
automatic adjoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import warp as wp

from likeness.engine.shading.bsdf import Tables, device_tables, lift_normal, lobes_of
from likeness.engine.shading.lobes import lobe_weights
from likeness.engine.shading.shade import shade
from tests.reference.principled import Principled, evaluate

from .by_hand import above, constant_samples, frames_of, random_material, rounded, surface_rows, tensor, unit

COUNT = 600
STEP = 1e-6
COLUMNS = {
    "base_color": [0, 1, 2],
    "metallic": [3],
    "roughness": [4],
    "specular_tint": [7, 8, 9],
}


@pytest.fixture(scope="module")
def case() -> tuple[Principled, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Material, normal, view, light and a cotangent [COUNT, 3]."""
    rng = np.random.default_rng(11)
    material = random_material(rng, COUNT)
    # The energy tables have 16 and 32 nodes: in the middle between nodes of both the slope is well defined.
    cells = rng.integers(1, 15, COUNT) + 0.25
    material = rounded(
        replace(
            material,
            roughness=cells / 15,
            metallic=rng.uniform(0.1, 0.9, COUNT),
            base_color=rng.uniform(0.2, 0.95, (COUNT, 3)),
            specular_tint=rng.uniform(0.5, 0.9, (COUNT, 3)),
            specular_level=np.full(COUNT, 0.5),
        )
    )
    normal = unit(rng.normal(size=(COUNT, 3)))
    directions = [normal, above(normal, rng, 0.2), above(normal, rng, 0.2)]
    normal, view, light = (x.astype(np.float32).astype(np.float64) for x in directions)
    return material, normal, view, light, rng.normal(size=(COUNT, 3))


@pytest.fixture(scope="module")
def gradients(case) -> tuple[np.ndarray, np.ndarray]:
    """Engine's gradients with respect to surface rows and normals."""
    material, normal, view, light, cotangent = case
    frames = frames_of(normal, view)
    surface = tensor(surface_rows(material, COUNT)).requires_grad_()
    shading_normal = tensor(normal).requires_grad_()
    black = torch.zeros(1, 1, 3)
    lobes = lobe_weights(surface, shading_normal, frames.geometric, frames.view)
    samples = constant_samples(light[:, None])
    out = shade(lobes, shading_normal, black[0], black, frames, samples)
    (out * tensor(cotangent)).sum().backward()
    return surface.grad.double().numpy(), shading_normal.grad.double().numpy()


def assert_slopes(found: np.ndarray, expected: np.ndarray) -> None:
    # Against the size of all slopes of this kind: single ones pass through zero.
    assert np.abs(found - expected).max() < 1e-3 * np.percentile(np.abs(expected), 90)


@pytest.mark.parametrize("name", COLUMNS)
def test_material(name: str, case, gradients) -> None:
    material, normal, view, light, cotangent = case
    value = np.asarray(getattr(material, name))
    for channel, column in enumerate(COLUMNS[name]):
        step = STEP * (np.eye(3)[channel] if value.ndim == 2 else 1.0)
        up = evaluate(replace(material, **{name: value + step}), normal, view, light)
        down = evaluate(replace(material, **{name: value - step}), normal, view, light)
        expected = ((up - down) * cotangent).sum(-1) / (2 * STEP)
        assert_slopes(gradients[0][:, column], expected)


def test_turns_of_the_normal(case, gradients) -> None:
    material, normal, view, light, cotangent = case
    rng = np.random.default_rng(12)
    nv = np.sum(normal * view, -1)
    tables = np.abs(nv * 31 - np.round(nv * 31)) > 1e-3, np.abs(nv * 15 - np.round(nv * 15)) > 1e-3
    smooth = tables[0] & tables[1]
    for _ in range(2):
        tangent = unit(np.cross(normal, rng.normal(size=normal.shape)))
        up = evaluate(material, unit(normal + STEP * tangent), view, light)
        down = evaluate(material, unit(normal - STEP * tangent), view, light)
        expected = ((up - down) * cotangent).sum(-1) / (2 * STEP)
        found = (gradients[1] * tangent).sum(-1)
        assert_slopes(found[smooth], expected[smooth])


@wp.kernel
def _lobes_kernel(
    surface: wp.array2d(dtype=wp.float32),
    normal: wp.array(dtype=wp.vec3),
    geometric: wp.array(dtype=wp.vec3),
    view: wp.array(dtype=wp.vec3),
    tables: Tables,
    weights: wp.array3d(dtype=wp.float32),
    alpha2: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    nv = wp.clamp(wp.dot(lift_normal(normal[i], geometric[i], view[i]), view[i]), 1.0e-4, 1.0)
    lobes = lobes_of(
        wp.vec3(surface[i, 0], surface[i, 1], surface[i, 2]), surface[i, 4], surface[i, 3], surface[i, 5],
        surface[i, 6], wp.vec3(surface[i, 7], surface[i, 8], surface[i, 9]), surface[i, 10], nv, tables,
    )  # fmt: skip
    for c in range(3):
        weights[i, 0, c] = lobes.diffuse[c]
        weights[i, 1, c] = lobes.constant[c]
        weights[i, 2, c] = lobes.schlick[c]
        weights[i, 3, c] = lobes.edge[c]
        weights[i, 4, c] = lobes.dielectric[c]
    alpha2[i] = lobes.alpha2


@pytest.mark.parametrize("lifted", [False, True])
def test_backward_is_the_automatic_adjoint(lifted: bool) -> None:
    """Sockets over their whole ranges and beyond (what is clamped has no slope), with and without lifted normals."""
    rng = np.random.default_rng(13)
    surface = tensor(surface_rows(random_material(rng, COUNT), COUNT))
    surface[: COUNT // 4, :3] += 0.5
    surface[COUNT // 4 : COUNT // 2, 7:10] += 0.5
    surface[-COUNT // 8 :, 6] = 0.0
    geometric = unit(rng.normal(size=(COUNT, 3)))
    view = above(geometric, rng, 0.2)
    normal = geometric
    if lifted:
        normal = unit(geometric + 0.6 * rng.normal(size=(COUNT, 3)))
        mirror = 2 * (normal * view).sum(-1, keepdims=True) * normal - view
        low = (mirror * geometric).sum(-1) < 0.005
        assert low.sum() > COUNT / 10
        assert (~low).sum() > COUNT / 10
    vectors = [tensor(x) for x in (normal, geometric, view)]
    cotangent = tensor(rng.normal(size=(COUNT, 17)))

    leaves = [surface.clone().requires_grad_(), vectors[0].clone().requires_grad_()]
    (lobe_weights(*leaves, *vectors[1:]) * cotangent).sum().backward()

    rows = wp.array(surface.numpy(), dtype=wp.float32, device="cpu", requires_grad=True)
    inputs = [wp.array(x.numpy(), dtype=wp.vec3, device="cpu", requires_grad=True) for x in vectors]
    weights = wp.zeros((COUNT, 5, 3), dtype=wp.float32, device="cpu", requires_grad=True)
    alpha2 = wp.zeros(COUNT, dtype=wp.float32, device="cpu", requires_grad=True)
    with wp.Tape() as tape:
        wp.launch(_lobes_kernel, COUNT, [rows, *inputs, device_tables("cpu"), weights, alpha2], device="cpu")
    grads = [np.ascontiguousarray(cotangent[:, :15].reshape(COUNT, 5, 3)), np.ascontiguousarray(cotangent[:, 16])]
    tape.backward(grads={x: wp.array(g, dtype=wp.float32) for x, g in zip((weights, alpha2), grads, strict=True)})

    fitted = [0, 1, 2, 3, 4, 7, 8, 9]
    pairs = [(leaves[0].grad[:, fitted], rows.grad.numpy()[:, fitted]), (leaves[1].grad, inputs[0].grad.numpy())]
    for found, expected in pairs:
        assert np.isfinite(expected).all()
        assert np.abs(expected).max() > 0
        error = np.abs(found.numpy() - expected)
        assert (error <= 1e-3 * np.abs(expected) + 1e-5 * np.abs(expected).max()).all()
