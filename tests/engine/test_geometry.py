# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging of meshes: what belongs to a triangle stays with it."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.engine.errors import SceneError
from likeness.engine.geometry import DEFAULT_MATERIAL, build_geometry
from likeness.engine.scene import Mesh
from tests.engine.shading.by_hand import inside_of_box, matte, plane, scene_of


def two_materials() -> Mesh:
    """A plane whose triangles have different materials, one of which does not exist."""
    mesh = plane(1.0, z=2.0, name="Two")
    mesh.material_names, mesh.material_index = ["Red", "Gone"], np.array([1, 0], np.int32)
    mesh.uv_maps["Second"] = mesh.uv_maps["UVMap"] + 5.0
    mesh.terminator_offset = 0.25
    return mesh


def test_every_triangle_keeps_what_it_has() -> None:
    bare = inside_of_box(1.0, "Matte")
    meshes = [two_materials(), bare, plane(3.0)]
    geometry = build_geometry(scene_of(meshes, [matte(0.5), matte(0.5, name="Red")]), "cpu")
    assert geometry.material_names[0] == DEFAULT_MATERIAL
    names = [geometry.material_names[i] for i in geometry.material]
    assert names == [DEFAULT_MATERIAL, "Red", *["Matte"] * 14]
    assert geometry.mesh_index.tolist() == [0, 0, *[1] * 12, 2, 2]
    expected = np.concatenate([mesh.positions[mesh.triangles] for mesh in meshes])
    assert np.array_equal(geometry.positions[geometry.triangles], expected)
    assert np.array_equal(geometry.normals, np.concatenate([mesh.corner_normals for mesh in meshes]))
    assert not geometry.tangents[2:14].any()
    assert np.array_equal(geometry.tangents[14:], meshes[2].corner_tangents)
    active, second = geometry.uv_slots.index(None), geometry.uv_slots.index("Second")
    assert active == 0
    assert np.array_equal(geometry.uvs[active, :2], meshes[0].uv_maps["UVMap"])
    assert np.array_equal(geometry.uvs[second, :2], meshes[0].uv_maps["Second"])
    assert not geometry.uvs[second, 2:].any()  # as Cycles: (0, 0) where a mesh has no such map
    assert geometry.arrays.terminator.numpy().tolist() == pytest.approx([0.25, 0.25, *[0.1] * 14])
    assert geometry.size == pytest.approx(np.linalg.norm([3.0, 3.0, 3.0]))


def test_mesh_without_triangles_is_passed_over() -> None:
    empty = plane()
    empty.triangles, empty.corner_normals = np.zeros((0, 3), np.int32), np.zeros((0, 3, 3), np.float32)
    empty.uv_maps, empty.material_index = {}, np.zeros(0, np.int32)
    assert len(build_geometry(scene_of([empty, plane()], [matte(0.5)]), "cpu").triangles) == 2
    with pytest.raises(SceneError, match="no mesh"):
        build_geometry(scene_of([empty], [matte(0.5)]), "cpu")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vertices_that_are_no_numbers(value: float) -> None:
    mesh = plane(name="Vase")
    mesh.positions[3, 1] = value
    with pytest.raises(SceneError, match='"Vase" has 1 vert'):
        build_geometry(scene_of([mesh], [matte(0.5)]), "cpu")
