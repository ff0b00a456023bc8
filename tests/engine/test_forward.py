# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's pictures against stored ones by Cycles (tests/scenes/make_references.py made them)."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.render import render
from likeness.engine.scene import scalar
from tests.scenes import build
from tests.scenes.catalogue import DIRECT, FULL, LAYERED
from tests.scenes.catalogue_alpha import ALPHA, GLASS
from tests.scenes.catalogue_scene import TESTED
from tests.scenes.catalogue_surface import BENT, SURFACE
from tests.scenes.make_references import SIZE, SMALL, load_reference, psnr, size_of

# one of each kind: the others run in benchmarks/forward.py
QUICK = [
    "point_hard",
    "sun",
    "spot",
    "area_disk_spread",
    "environment",
    "metal_glossy",
    "textured",
    "normal_mapped",
    "materials_and_instances",
    "shifted_portrait",
]


@pytest.mark.parametrize("name", QUICK)
def test_direct_light_is_that_of_cycles(name: str) -> None:
    case = DIRECT[name]
    camera = case.build()
    width, height = size_of(case, SIZE)
    found = render(read_scene(bpy.context.scene), camera.name, width, height, samples=64, direct_only=True)
    assert found.shape == (height, width, 4)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor


@pytest.mark.parametrize("name", LAYERED | ALPHA | SURFACE)
def test_layers_transparent_and_rough_surfaces_are_those_of_cycles(name: str) -> None:
    case = (LAYERED | ALPHA | SURFACE)[name]
    camera = case.build()
    found = render(read_scene(bpy.context.scene), camera.name, SMALL, SMALL, samples=256, direct_only=True)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor


@pytest.mark.parametrize("name", TESTED)
def test_nodes_and_meshes_are_read_as_cycles_does(name: str) -> None:
    camera = TESTED[name].build()
    found = render(read_scene(bpy.context.scene), camera.name, SMALL, SMALL, samples=256, direct_only=True)
    assert psnr(found[..., :3], load_reference(name)) >= TESTED[name].floor


@pytest.mark.parametrize("name", BENT)
def test_baked_bumps_are_those_of_cycles(name: str) -> None:
    case = BENT[name]
    camera = case.build()
    scene = read_scene(bpy.context.scene, bake=512)
    found = render(scene, camera.name, SMALL, SMALL, samples=64, direct_only=True)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor


@pytest.mark.parametrize("name", GLASS)
def test_glass_is_nearer_to_cycles_than_an_opaque_surface(name: str) -> None:
    case, reference = GLASS[name], load_reference(name)
    camera = case.build()
    scene = read_scene(bpy.context.scene)
    glass = render(scene, camera.name, SMALL, SMALL, samples=16)
    scene.materials["Glass"].transmission = scalar(0.0)
    opaque = render(scene, camera.name, SMALL, SMALL, samples=16)
    assert psnr(glass[..., :3], reference) >= psnr(opaque[..., :3], reference) + case.floor


@pytest.mark.parametrize("name", ["table_dielectric", "table_metal"])
def test_one_bounce_comes_close_to_full_light_transport(name: str) -> None:
    case = FULL[name]
    camera = case.build()
    width, height = size_of(case, SIZE)
    found = render(read_scene(bpy.context.scene), camera.name, width, height, samples=64)
    assert psnr(found[..., :3], load_reference(name)) >= case.floor


@pytest.mark.parametrize("angle", [0.0, 0.1, 0.8])
def test_irradiance_of_a_sun_does_not_depend_on_its_size(angle: float) -> None:
    """Closed form: a Lambert plane of albedo a under strength P shows a P cos / pi."""
    build.new_scene()
    material = build.add_material("Plane", base_color=(0.5, 0.5, 0.5), specular_level=0.0)
    build.add_plane("Plane", material, size=40.0)
    light = build.add_light("SUN", (2.0, -1.5, 3.0), energy=2.6, angle=angle)
    build.add_camera("Camera", (0.0, 0.0, 5.0), (0.0, 0.0, 0.0))
    bpy.context.view_layer.update()
    found = render(read_scene(bpy.context.scene), "Camera", 16, 16, samples=256, direct_only=True)[..., :3]
    expected = 0.5 * 2.6 * light.matrix_world[2][2] / np.pi
    assert found.mean() == pytest.approx(expected, rel=2e-3)
