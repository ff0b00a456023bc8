# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way from a Blender file to arrays, on Blender's own start-up scene."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from likeness.bridge.read_scene import read_scene
from likeness.engine.errors import SceneError

pytestmark = pytest.mark.usefixtures("startup_file")


def test_startup_scene_comes_over_whole() -> None:
    scene = read_scene(bpy.context.scene)
    assert [mesh.name for mesh in scene.meshes] == ["Cube"]
    assert len(scene.meshes[0].triangles) == 12
    # a cube of edge 2: twelve flat triangles whose normals are axes and whose area is 24
    corners = scene.meshes[0].positions[scene.meshes[0].triangles]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert np.linalg.norm(cross, axis=1).sum() / 2 == pytest.approx(24)
    np.testing.assert_allclose(scene.meshes[0].corner_normals, (cross / 2 / 2)[:, None].repeat(3, 1), atol=1e-6)
    assert list(scene.cameras) == ["Camera"]
    assert [(light.kind, light.energy) for light in scene.lights] == [("POINT", 1000.0)]
    assert scene.materials["Material"].roughness.value == pytest.approx(0.5)
    assert scene.view.view_transform == "AgX"


def test_render_levels_count_and_the_file_stays_as_it_was() -> None:
    cube = bpy.data.objects["Cube"]
    modifier = cube.modifiers.new("Subdivision", "SUBSURF")
    modifier.levels, modifier.render_levels = 1, 3
    hidden = bpy.data.objects.new("Hidden in the viewport", cube.data)
    bpy.context.collection.objects.link(hidden)
    hidden.hide_viewport = True
    closed_eye = bpy.data.objects.new("Closed eye", cube.data)
    bpy.context.collection.objects.link(closed_eye)
    closed_eye.hide_set(True)
    not_rendered = bpy.data.objects.new("Not rendered", cube.data)
    bpy.context.collection.objects.link(not_rendered)
    not_rendered.hide_render = True
    scene = read_scene(bpy.context.scene)
    triangles = {mesh.name: len(mesh.triangles) for mesh in scene.meshes}
    assert triangles == {"Cube": 6 * 4**3 * 2, "Hidden in the viewport": 12, "Closed eye": 12}
    assert modifier.levels == 1
    assert hidden.hide_viewport
    assert closed_eye.hide_get()
    assert not not_rendered.hide_viewport


def test_nan_vertices_are_an_error_that_names_the_object() -> None:
    cube = bpy.data.objects["Cube"]
    cube.name = "Würfel mit Loch"
    cube.data.vertices[3].co.x = float("nan")
    with pytest.raises(SceneError, match="Würfel mit Loch"):
        read_scene(bpy.context.scene)
