# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes, normals and tangents against Cycles and against Blender's own tangents."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler, Matrix

from likeness.bridge.read_material import NO_MATERIAL
from likeness.bridge.read_scene import read_scene
from likeness.bridge.tangents import corner_tangents
from likeness.engine.scene import Mesh
from tests.bridge.probe import emission_material, new_material, pixel_positions, shoot, top_camera

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 32


def _bumpy(name: str, smooth: bool, quads: int = 5) -> bpy.types.Mesh:
    """A wavy sheet over [-1, 1]² with skewed UVs."""
    line = np.linspace(-1, 1, quads + 1)
    x, y = np.meshgrid(line, line)
    z = 0.25 * np.sin(2.3 * x + 0.4) * np.cos(1.9 * y)
    vertices = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    n = quads + 1
    faces = [
        (i * n + j, i * n + j + 1, (i + 1) * n + j + 1, (i + 1) * n + j) for i in range(quads) for j in range(quads)
    ]
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], faces)
    uv = vertices[:, :2] @ np.array([[0.5, 0.2], [-0.1, 0.4]]) + 0.1 * np.sin(3 * vertices[:, 1::-1])
    corners = np.array([uv[vertex] for face in faces for vertex in face], np.float32)
    mesh.uv_layers.new(name="UVMap").data.foreach_set("uv", corners.ravel())
    mesh.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
    return mesh


def _show_vector(kind: str) -> bpy.types.Material:
    """An emission material that shows .5 + .5 * the world-space vector of a Geometry or Normal Map node."""
    material, socket = emission_material()
    nodes, links = material.node_tree.nodes, material.node_tree.links
    halve = nodes.new("ShaderNodeVectorMath")
    halve.operation = "MULTIPLY_ADD"
    halve.inputs[1].default_value = halve.inputs[2].default_value = (0.5, 0.5, 0.5)
    if kind == "normal":
        source = nodes.new("ShaderNodeNewGeometry")
    else:
        source = nodes.new("ShaderNodeNormalMap")
        source.inputs["Color"].default_value = (*_MAP_COLOUR, 1)
    links.new(source.outputs["Normal"], halve.inputs[0])
    links.new(halve.outputs[0], socket)
    return material


_MAP_COLOUR = (0.8, 0.35, 0.75)


def _interpolate(mesh: Mesh, corner_values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corner values [T, 3, C] at the pixels seen from above, and which pixels are safely inside a triangle."""
    points = pixel_positions(SIZE).reshape(-1, 2)
    corners = mesh.positions[mesh.triangles].astype(float)
    a, b, c = corners[:, 0, :2], corners[:, 1, :2], corners[:, 2, :2]
    area = np.cross(b - a, c - a)
    best = np.full(len(points), -np.inf)
    values = np.zeros((len(points), corner_values.shape[2]))
    safe = np.zeros(len(points), bool)
    for t in range(len(corners)):
        w1 = np.cross(points - a[t], (c - a)[t]) / area[t]
        w2 = np.cross((b - a)[t], points - a[t]) / area[t]
        weights = np.stack([1 - w1 - w2, w1, w2], axis=-1)
        height = weights @ corners[t, :, 2]
        hit = (weights >= 0).all(axis=1) & (height > best)
        best[hit] = height[hit]
        values[hit] = weights[hit] @ corner_values[t]
        safe[hit] = weights[hit].min(axis=1) > 1e-3
    return values, safe


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-30)


PLACES = {
    "turned": Euler((0.2, -0.3, 0.8)).to_matrix().to_4x4(),
    "uniform scale": Euler((0.2, -0.3, 0.8)).to_matrix().to_4x4() @ Matrix.Scale(0.7, 4),
    "uneven scale": Euler((0.1, 0.2, 0.4)).to_matrix().to_4x4() @ Matrix.Diagonal((1.2, 0.7, 2.5, 1)),
    "mirrored": Euler((0.2, -0.3, 0.8)).to_matrix().to_4x4() @ Matrix.Diagonal((-1, 1, 1, 1)),
    "mirrored, uneven and sheared": Matrix.Shear("XY", 4, (0.3, -0.2)) @ Matrix.Diagonal((-1, 1.4, 0.6, 1)),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shared", [False, True], ids=["single user", "two users"])
@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "flat"])
def test_normals_equal_cycles(place: str, shared: bool, smooth: bool, tmp_path: Path) -> None:
    mesh = _bumpy("Sheet", smooth)
    mesh.materials.append(_show_vector("normal"))
    sheet = bpy.data.objects.new("Sheet", mesh)
    sheet.matrix_world = PLACES[place]
    bpy.context.scene.collection.objects.link(sheet)
    if shared:
        other = bpy.data.objects.new("Other", mesh)
        other.location = (0, 0, -50)
        bpy.context.scene.collection.objects.link(other)
    seen = shoot(top_camera(), tmp_path, SIZE).reshape(-1, 3) * 2 - 1
    read = next(mesh for mesh in read_scene(bpy.context.scene).meshes if mesh.name == "Sheet")
    corners = read.positions[read.triangles]
    geometric = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((read.corner_normals * geometric[:, None]).sum(-1) > 0).all(), "winding and normals agree"
    values, safe = _interpolate(read, read.corner_normals)
    assert safe.sum() > SIZE * SIZE / 4
    facing = _unit(values[safe])
    facing *= np.sign(facing[:, 2:])  # Cycles turns the normal of a back face to the viewer
    np.testing.assert_allclose(seen[safe], facing, atol=1e-4)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("shared", [False, True], ids=["single user", "two users"])
@pytest.mark.parametrize("smooth", [True, False], ids=["smooth", "flat"])
def test_normal_mapped_normals_equal_cycles(place: str, shared: bool, smooth: bool, tmp_path: Path) -> None:
    """N = normalize(x t + y F sign (n x t) + z n) with the interpolated n, t and the frame F of the contract."""
    mesh = _bumpy("Sheet", smooth)
    mesh.materials.append(_show_vector("normal map"))
    sheet = bpy.data.objects.new("Sheet", mesh)
    sheet.matrix_world = PLACES[place]
    bpy.context.scene.collection.objects.link(sheet)
    if shared:
        other = bpy.data.objects.new("Other", mesh)
        other.location = (0, 0, -50)
        bpy.context.scene.collection.objects.link(other)
    seen = shoot(top_camera(), tmp_path, SIZE).reshape(-1, 3) * 2 - 1
    read = next(mesh for mesh in read_scene(bpy.context.scene).meshes if mesh.name == "Sheet")
    assert read.corner_tangents is not None
    normals = read.corner_normals if read.map_normals is None else read.map_normals
    frame = np.eye(3) if read.map_frame is None else read.map_frame
    assert (read.map_frame is not None) == ("uneven" in place)
    both, safe = _interpolate(read, np.concatenate([normals, read.corner_tangents], axis=-1))
    normal, tangent, sign = both[:, :3], both[:, 3:6], np.sign(both[:, 6:7])
    x, y, z = 2 * np.array(_MAP_COLOUR) - 1
    expected = _unit(x * tangent + y * sign * np.cross(normal, tangent) @ frame.T + z * normal)
    front = safe & (normal[:, 2] > 0.05)
    assert front.sum() > SIZE * SIZE / 4
    np.testing.assert_allclose(seen[front], expected[front], atol=2e-4)


def test_tangents_equal_blenders_on_triangles() -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=24, ring_count=12)
    bpy.ops.mesh.primitive_monkey_add()
    for obj in list(bpy.context.scene.objects):
        mesh = obj.data
        modifier = obj.modifiers.new("Triangulate", "TRIANGULATE")
        bpy.context.view_layer.objects.active = obj
        bpy.ops.object.modifier_apply(modifier=modifier.name)
        mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
        mesh.calc_tangents(uvmap=mesh.uv_layers.active.name)
        expected = np.array([[*loop.tangent, loop.bitangent_sign] for loop in mesh.loops]).reshape(-1, 3, 4)
        positions = np.array([mesh.vertices[loop.vertex_index].co for loop in mesh.loops], np.float32)
        normals = np.array([corner.vector for corner in mesh.corner_normals], np.float32)
        uv = np.array([corner.uv for corner in mesh.uv_layers.active.data], np.float32)
        found = corner_tangents(positions.reshape(-1, 3, 3), normals.reshape(-1, 3, 3), uv.reshape(-1, 3, 2))
        corner_uv = uv.reshape(-1, 3, 2)
        edge1, edge2 = corner_uv[:, 1] - corner_uv[:, 0], corner_uv[:, 2] - corner_uv[:, 0]
        has_area = np.abs(np.cross(edge1, edge2)) > 1e-7
        np.testing.assert_array_equal(found[has_area][..., 3], expected[has_area][..., 3])
        error = np.abs(found[has_area][..., :3] - expected[has_area][..., :3]).max(axis=(1, 2))
        # the reference joins corners across edges only, so a few fans that touch in a point differ
        assert np.mean(error > 1e-3) < 0.005
        assert np.median(error) < 1e-5  # single precision in the reference


def test_ngons_several_materials_and_uv_maps() -> None:
    mesh = bpy.data.meshes.new("Polygons")
    angles = np.arange(7) / 7 * 2 * np.pi
    ring = [(np.cos(a), np.sin(a), 0.0) for a in angles]
    mesh.from_pydata([*ring, (3, 0, 0), (4, 0, 0), (3, 1, 0)], [], [tuple(range(7)), (7, 8, 9)])
    for name in ("Erste", "Zweite"):
        uv = np.array([mesh.vertices[loop.vertex_index].co[:2] for loop in mesh.loops], np.float32)
        mesh.uv_layers.new(name=name).data.foreach_set("uv", (uv * (1 if name == "Erste" else 2)).ravel())
    mesh.uv_layers["Zweite"].active_render = True
    for name in ("Gold", "Silber"):
        mesh.materials.append(new_material(name))
    mesh.polygons[1].material_index = 1
    obj = bpy.data.objects.new("Polygons", mesh)
    bpy.context.scene.collection.objects.link(obj)
    obj.material_slots[1].link = "OBJECT"
    obj.material_slots[1].material = new_material("Kupfer am Objekt")
    scene = read_scene(bpy.context.scene)
    (read,) = scene.meshes
    assert len(read.triangles) == 5 + 1
    assert read.material_names == ["Gold", "Kupfer am Objekt"]
    assert sorted(read.material_index.tolist()) == [0, 0, 0, 0, 0, 1]
    assert read.active_uv == "Zweite"
    np.testing.assert_allclose(read.uv_maps["Zweite"], 2 * read.positions[read.triangles][..., :2], atol=1e-6)
    assert read.corner_tangents is not None
    # UVs are twice (x, y): the tangent is +x everywhere and the bitangent +y
    np.testing.assert_allclose(read.corner_tangents, np.broadcast_to([1, 0, 0, 1], (6, 3, 4)), atol=1e-6)


def test_instances_curves_text_and_metaballs() -> None:
    scene = bpy.context.scene
    part = bpy.data.collections.new("Part")
    mesh = _bumpy("Sheet", True)
    part.objects.link(bpy.data.objects.new("Blatt", mesh))
    for number in range(2):
        empty = bpy.data.objects.new(f"Instance {number}", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", part
        empty.location.x = 10.0 * number
        scene.collection.objects.link(empty)
    text = bpy.data.curves.new("Text", "FONT")
    text.body = "o"
    scene.collection.objects.link(bpy.data.objects.new("Text", text))
    ball = bpy.data.metaballs.new("Ball")
    ball.elements.new()
    scene.collection.objects.link(bpy.data.objects.new("Ball", ball))
    wire = bpy.data.curves.new("Wire", "CURVE")
    wire.splines.new("POLY").points.add(1)
    scene.collection.objects.link(bpy.data.objects.new("Wire without surface", wire))
    meshes = {mesh.name: mesh for mesh in read_scene(scene).meshes}
    assert set(meshes) == {"Blatt", "Blatt #2", "Text", "Ball"}
    assert meshes["Blatt #2"].object_name == "Blatt"
    np.testing.assert_allclose(meshes["Blatt #2"].positions - meshes["Blatt"].positions, [[10, 0, 0]] * 36, atol=1e-5)
    assert all(len(mesh.triangles) > 0 for mesh in meshes.values())


def test_an_object_in_edit_mode_is_read_as_edited() -> None:
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.subdivide()
    (read,) = read_scene(bpy.context.scene).meshes
    assert len(read.triangles) == 6 * 4 * 2
    bpy.ops.object.mode_set(mode="OBJECT")


def test_things_that_do_not_render_are_named() -> None:
    scene = bpy.context.scene
    scene.collection.objects.link(bpy.data.objects.new("Wolke", bpy.data.volumes.new("Wolke")))
    flat = bpy.data.objects.new("Platt", _bumpy("Sheet", True))
    flat.scale = (1, 1, 0)
    scene.collection.objects.link(flat)
    catcher = bpy.data.objects.new("Fänger", _bumpy("Sheet", True))
    catcher.is_shadow_catcher = True
    catcher.visible_glossy = False
    scene.collection.objects.link(catcher)
    found = {(note.severity, note.datablock) for note in read_scene(scene).notes}
    assert ("ignored", 'Object "Wolke"') in found
    assert ("ignored", 'Object "Platt"') in found
    assert ("approximated", 'Object "Fänger"') in found


def test_slots_without_faces_or_material(tmp_path: Path) -> None:
    mesh = _bumpy("Sheet", True)
    for material in (new_material("Unbenutzt"), new_material("Vorn"), None):
        mesh.materials.append(material)
    mesh.polygons.foreach_set("material_index", np.full(len(mesh.polygons), 1))
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Sheet", mesh))
    read = read_scene(bpy.context.scene)
    assert list(read.materials) == read.meshes[0].material_names == ["Vorn"]
    assert read.meshes[0].material_index.max() == 0
    # a slot that does not exist: the last one, here without material
    mesh.polygons[0].material_index = 7
    read = read_scene(bpy.context.scene)
    assert read.meshes[0].material_names == ["Vorn", NO_MATERIAL]
    assert read.meshes[0].material_index.sum() == 2


def test_no_material_is_cycles_default_surface(tmp_path: Path) -> None:
    mesh = bpy.data.meshes.new("Square")
    mesh.from_pydata([(-1, -1, 0), (1, -1, 0), (1, 1, 0), (-1, 1, 0)], [], [(0, 1, 2, 3)])
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Square", mesh))
    sun = bpy.data.lights.new("Sun", "SUN")
    sun.energy, sun.angle = np.pi, 0
    light = bpy.data.objects.new("Sun", sun)
    light.rotation_euler = (0.2, 0, 0)
    bpy.context.scene.collection.objects.link(light)
    camera = top_camera()
    without = shoot(camera, tmp_path, 4)
    read = read_scene(bpy.context.scene).materials[NO_MATERIAL]
    explicit = new_material("Explicit")
    shader = next(node for node in explicit.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    shader.inputs["Base Color"].default_value = (*read.base_color.value, 1)
    shader.inputs["Roughness"].default_value = read.roughness.value[0]
    shader.inputs["IOR"].default_value = read.ior.value[0]
    shader.inputs["Specular IOR Level"].default_value = read.specular_level.value[0]
    mesh.materials.append(explicit)
    np.testing.assert_allclose(without, shoot(camera, tmp_path, 4), rtol=1e-6)
    assert without.min() > 0.5


def test_geometry_nodes_that_look_for_the_viewport_are_named() -> None:
    group = bpy.data.node_groups.new("Nodes", "GeometryNodeTree")
    group.nodes.new("GeometryNodeIsViewport")
    sheet = bpy.data.objects.new("Knotig", _bumpy("Sheet", True))
    sheet.modifiers.new("Nodes", "NODES").node_group = group
    bpy.context.scene.collection.objects.link(sheet)
    assert any("Is Viewport" in note.message for note in read_scene(bpy.context.scene).notes)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("visible_diffuse", False, "invisible to diffuse rays"),
        ("visible_transmission", False, "invisible to transmission rays"),
        ("is_shadow_catcher", True, "shadow catcher"),
        ("shadow_terminator_shading_offset", 0.2, "Shading Offset"),
    ],
)
def test_settings_that_are_only_approximated_are_named(setting: str, value: bool | float, words: str) -> None:
    sheet = bpy.data.objects.new("Blatt", _bumpy("Sheet", True))
    bpy.context.scene.collection.objects.link(sheet)
    if not hasattr(sheet, setting):
        pytest.skip(f"this Blender has no {setting}")
    setattr(sheet, setting, value)
    notes = [note for note in read_scene(bpy.context.scene).notes if note.datablock == 'Object "Blatt"']
    assert any(words in note.message and note.severity == "approximated" for note in notes)


def test_rays_that_see_neither_an_instance_nor_its_original() -> None:
    """As in Cycles both count: the ball is hidden from shadow rays, its instancer from the camera."""
    sheet = bpy.data.objects.new("Sheet", _bumpy("Sheet", True))
    sheet.visible_shadow = False
    collection = bpy.data.collections.new("Set")
    collection.objects.link(sheet)
    instancer = bpy.data.objects.new("Instancer", None)
    instancer.instance_type, instancer.instance_collection = "COLLECTION", collection
    instancer.visible_camera = False
    bpy.context.scene.collection.objects.link(instancer)
    (mesh,) = read_scene(bpy.context.scene).meshes
    assert (mesh.visible_camera, mesh.visible_shadow, mesh.visible_indirect) == (False, False, True)
