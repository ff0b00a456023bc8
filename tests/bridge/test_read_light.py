# SPDX-License-Identifier: GPL-3.0-or-later
"""Every field of a light, and the names of what is left out."""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.scene import Light, Scene

pytestmark = pytest.mark.usefixtures("empty_file")


def _add(name: str, kind: str, **fields: object) -> bpy.types.Object:
    data = bpy.data.lights.new(f"{name} data", kind)
    for field, value in fields.items():
        setattr(data, field, value)
    obj = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def _read() -> tuple[dict[str, Light], Scene]:
    scene = read_scene(bpy.context.scene)
    return {light.name: light for light in scene.lights}, scene


def test_all_kinds_with_their_fields() -> None:
    _add("Punkt", "POINT", energy=12, shadow_soft_size=0.3, use_soft_falloff=False, color=(0.9, 0.5, 0.1))
    sun = _add("Sonne", "SUN", energy=3, angle=0.2)
    sun.rotation_euler = (0.3, 0.4, 0.5)
    _add("Spot", "SPOT", energy=20, spot_size=1.1, spot_blend=0.4, shadow_soft_size=0.05)
    area = _add("Fläche", "AREA", energy=50, shape="RECTANGLE", size=0.5, size_y=2, spread=1.2)
    area.scale = (2, 3, 1)
    area.visible_camera = True
    area.visible_glossy = False
    _add("Scheibe", "AREA", shape="DISK", size=0.7, size_y=9)
    _add("Quadrat", "AREA", shape="SQUARE", size=0.6, size_y=9)
    _add("Ellipse", "AREA", shape="ELLIPSE", size=0.6, size_y=0.9)
    lights, scene = _read()
    assert len(lights) == 7
    point, spot = lights["Punkt"], lights["Spot"]
    assert (point.data_name, point.kind, point.energy, point.soft_falloff) == ("Punkt data", "POINT", 12, False)
    assert point.radius == pytest.approx(0.3)
    np.testing.assert_allclose(point.color, (0.9, 0.5, 0.1), rtol=1e-6)
    assert (lights["Sonne"].energy, lights["Sonne"].angle) == (3, pytest.approx(0.2))
    np.testing.assert_allclose(lights["Sonne"].matrix, np.array(sun.matrix_world), atol=1e-6)
    assert (spot.spot_size, spot.spot_blend, spot.soft_falloff) == (pytest.approx(1.1), pytest.approx(0.4), True)
    plane = lights["Fläche"]
    assert plane.area_size == (0.5, 2)
    assert plane.spread == pytest.approx(1.2)
    assert np.linalg.norm(plane.matrix[:3, 0]) == pytest.approx(2)
    assert (plane.visible_camera, plane.visible_glossy, plane.visible_diffuse) == (True, False, True)
    shapes = {name: (lights[name].area_shape, *lights[name].area_size) for name in ("Scheibe", "Quadrat", "Ellipse")}
    assert shapes["Scheibe"] == ("ELLIPSE", pytest.approx(0.7), pytest.approx(0.7))
    assert shapes["Quadrat"] == ("RECTANGLE", pytest.approx(0.6), pytest.approx(0.6))
    assert shapes["Ellipse"] == ("ELLIPSE", pytest.approx(0.6), pytest.approx(0.9))
    assert [note for note in scene.notes if note.datablock.startswith("Light")] == []


def test_exposure_and_temperature_are_in_the_multiplier() -> None:
    obj = _add("Warm", "POINT")
    if not hasattr(obj.data, "exposure"):
        pytest.skip("lights have no exposure before 4.5")
    obj.data.exposure, obj.data.use_temperature, obj.data.temperature, obj.data.normalize = 1.5, True, 4000, False
    lights, _ = _read()
    # colour of 4000 K measured in Cycles (docs/blender-image-formation.md §2)
    np.testing.assert_allclose(lights["Warm"].multiplier, np.array([1.4141, 0.9236, 0.5337]) * 2**1.5, rtol=2e-4)
    assert not lights["Warm"].normalize


def test_node_trees_portals_and_hidden_lights() -> None:
    plain = _add("Emission", "POINT")
    plain.data.use_nodes = True
    emission = next(node for node in plain.data.node_tree.nodes if node.bl_idname == "ShaderNodeEmission")
    emission.inputs["Strength"].default_value = 3
    emission.inputs["Color"].default_value = (1, 0.5, 0.25, 1)
    profile = _add("Profil", "SPOT", spot_size=math.pi / 2)
    profile.data.use_nodes = True
    tree = profile.data.node_tree
    texture = tree.nodes.new("ShaderNodeTexIES")
    emission = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeEmission")
    tree.links.new(texture.outputs[0], emission.inputs["Strength"])
    portal = _add("Portal", "AREA")
    portal.data.cycles.is_portal = True
    _add("Aus", "POINT").hide_render = True
    lights, scene = _read()
    assert set(lights) == {"Emission", "Profil"}
    np.testing.assert_allclose(lights["Emission"].multiplier, (3, 1.5, 0.75), rtol=1e-6)
    found = {(note.severity, note.datablock) for note in scene.notes}
    assert {("ignored", 'Light "Profil"'), ("ignored", 'Light "Portal"')} <= found


def test_what_is_only_nearly_so_is_named() -> None:
    """A light that its parent shears, one whose light may be reflected once only; a square spot is round in Cycles."""
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.scale, parent.rotation_euler = (1.0, 2.0, 1.0), (0.3, 0.2, 0.1)
    sheared = _add("Schief", "AREA")
    sheared.parent, sheared.rotation_euler = parent, (0.5, 0.3, 0.1)
    _add("Gestreckt", "AREA").scale = (1.0, 2.0, 3.0)
    _add("Kurz", "POINT").data.cycles.max_bounces = 0
    _add("Quadrat", "SPOT", use_square=True)
    bpy.context.view_layer.update()
    _, scene = _read()
    noted = {note.datablock: note.message for note in scene.notes if note.datablock.startswith("Light")}
    assert set(noted) == {'Light "Schief"', 'Light "Kurz"'}
    assert "parent" in noted['Light "Schief"']
    assert "Max Bounces" in noted['Light "Kurz"']
