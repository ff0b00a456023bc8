# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference itself against Cycles: a plane under one point light, seen and lit at varying angles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.engine.scene import Camera, Light
from tests.reference.camera import rays
from tests.reference.lights import light_samples
from tests.reference.principled import Principled, evaluate
from tests.scenes import build
from tests.scenes.cycles import render_cycles

SIZE = 40
CASES = {
    "default": Principled(),
    "smooth dielectric": Principled(base_color=np.array([0.8, 0.3, 0.1]), roughness=0.25),
    "single scatter": Principled(roughness=0.7, multiscatter=False),
    "high index": Principled(ior=2.4, roughness=0.3),
    "specular level": Principled(specular_level=0.2),
    "no specular": Principled(specular_level=0.0),
    "specular tint": Principled(specular_tint=np.array([1.0, 0.2, 0.4])),
    "metal": Principled(base_color=np.array([0.9, 0.6, 0.3]), metallic=1.0, roughness=0.3),
    "rough tinted metal": Principled(
        base_color=np.array([0.9, 0.6, 0.3]), metallic=1.0, roughness=0.8, specular_tint=np.array([0.3, 0.6, 1.0])
    ),
    "half metal": Principled(metallic=0.5, roughness=0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_reference_is_cycles(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    scene = build.new_scene()
    material = build.add_material(
        "Plane",
        distribution="MULTI_GGX" if case.multiscatter else "GGX",
        base_color=tuple(case.base_color),
        metallic=case.metallic,
        roughness=case.roughness,
        ior=case.ior,
        specular_level=case.specular_level,
        specular_tint=tuple(case.specular_tint),
    )
    build.add_plane("Plane", material, size=40.0)
    build.add_light("POINT", (0.7, 0.4, 1.3), energy=100.0, color=(1.0, 0.8, 0.6), shadow_soft_size=0.0)
    camera = build.add_camera("Camera", (0.3, -1.6, 1.2), (0.2, 0.3, 0.0), lens=22.0)
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    found = render_cycles(scene, camera, tmp_path / "plane.exr", width=SIZE, height=SIZE, samples=1, direct_only=True)[
        ..., :3
    ]

    view = Camera("Camera", np.array(camera.matrix_world), lens=22.0)
    light = Light("Point", "Point", "POINT", np.eye(4), 100.0, np.array([1.0, 0.8, 0.6]))
    light.matrix[:3, 3] = 0.7, 0.4, 1.3
    expected = np.zeros((SIZE, SIZE, 3))
    for row in range(SIZE):
        for column in range(SIZE):
            origin, direction = rays(view, (column + 0.5, row + 0.5), SIZE, SIZE)
            if direction[2] >= 0.0:
                continue
            point = origin - direction * origin[2] / direction[2]
            if np.abs(point).max() > 20.0:
                continue
            towards, weight = light_samples(light, point)
            value = evaluate(case, np.broadcast_to([0.0, 0.0, 1.0], towards.shape), -direction, towards)
            expected[row, column] = (value * weight).sum(axis=0)

    assert np.array_equal(found[..., 1] > 0.0, expected[..., 1] > 0.0)
    lit = expected > 0.0
    ratio = found[lit] / expected[lit]
    assert ratio.mean() == pytest.approx(1.0, abs=2e-4)
    assert np.percentile(ratio, [1, 99]) == pytest.approx([1.0, 1.0], abs=2e-3)
