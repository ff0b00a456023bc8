# SPDX-License-Identifier: GPL-3.0-or-later
"""Displaced vertices in closed form, heights against the engine's texture lookup; pictures in test_forward.py."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from likeness.bridge.displacement import _looked_up
from likeness.bridge.read_scene import read_scene
from likeness.engine.scene import Image, Mesh, Scene, Texture
from tests.scenes import build
from tests.scenes.catalogue_surface import gray, link_displacement


def _read_ball(
    method: str = "DISPLACEMENT", space: str = "OBJECT", image: np.ndarray | None = None, mirrored: bool = False
) -> tuple[Scene, Mesh]:
    build.new_scene()
    material = build.add_material("Relief")
    link_displacement(material, gray("Height", np.ones((4, 4)) if image is None else image), method, 0.1)
    node = next(node for node in material.node_tree.nodes if node.type == "DISPLACEMENT")
    node.space = space
    ball = build.add_sphere("Ball", material, 1.0, (1.0, 2.0, 3.0), rows=16, columns=32)
    ball.scale = (2.0, 2.0, -2.0 if mirrored else 2.0)
    bpy.context.view_layer.update()
    scene = read_scene(bpy.context.scene)
    return scene, scene.meshes[0]


@pytest.mark.parametrize(
    ("space", "mirrored", "radius"), [("OBJECT", False, 2.1), ("OBJECT", True, 2.1), ("WORLD", False, 2.05)]
)
def test_a_ball_grows_along_its_normals(space: str, mirrored: bool, radius: float) -> None:
    _, mesh = _read_ball(space=space, mirrored=mirrored)
    offset = mesh.positions - (1.0, 2.0, 3.0)
    np.testing.assert_allclose(np.linalg.norm(offset, axis=1), radius, rtol=2e-5)
    radial = offset / np.linalg.norm(offset, axis=1, keepdims=True)
    assert (np.sum(mesh.corner_normals * radial[mesh.triangles], -1) > 0.995).all()
    assert mesh.corner_tangents is not None


def test_smooth_normals_follow_a_wave_and_tangents_stay_across_them() -> None:
    """A plane with the height a sin(u): the slope is known everywhere but at its rim."""
    build.new_scene()
    size, depth = 512, 0.2
    wave = np.sin(2 * np.pi * (np.arange(size) + 0.5) / size)
    material = build.add_material("Relief")
    link_displacement(material, gray("Height", np.broadcast_to(wave, (size, size))), "DISPLACEMENT", depth, 0.0)
    across = np.linspace(0.0, 1.0, 65)
    points = np.stack([*np.meshgrid(across, across), np.zeros((65, 65))], axis=-1)
    build.add_mesh("Slab", [build.grid(points)], [material])
    bpy.context.view_layer.update()
    mesh = read_scene(bpy.context.scene).meshes[0]
    x = mesh.positions[mesh.triangles][..., 0]
    slope = depth * 2 * np.pi * np.cos(2 * np.pi * x)
    expected = np.stack([-slope, np.zeros_like(x), np.ones_like(x)], -1) / np.sqrt(1 + slope**2)[..., None]
    inner = ((mesh.positions[:, :2] > 0.03) & (mesh.positions[:, :2] < 0.97)).all(axis=1)[mesh.triangles]
    np.testing.assert_allclose(mesh.positions[:, 2], depth * np.sin(2 * np.pi * mesh.positions[:, 0]), atol=2e-5)
    assert np.abs(mesh.corner_normals - expected)[inner].max() < 0.02
    across_normal = np.sum(mesh.corner_tangents[..., :3] * mesh.corner_normals, -1)
    assert np.abs(across_normal).max() < 1e-5


@pytest.mark.parametrize(
    ("method", "radius", "said"), [("BUMP", 2.0, "will be baked"), ("BOTH", 2.1, "finer than the mesh")]
)
def test_displacement_that_bends_normals_is_named(method: str, radius: float, said: str) -> None:
    scene, mesh = _read_ball(method)
    np.testing.assert_allclose(np.linalg.norm(mesh.positions - (1.0, 2.0, 3.0), axis=1), radius, rtol=2e-5)
    notes = [note.message for note in scene.notes if note.datablock == 'Material "Relief"']
    assert len(notes) == 1
    assert said in notes[0]


def test_displacement_that_is_not_understood_is_named() -> None:
    build.new_scene()
    material = build.add_material("Relief")
    tree = material.node_tree
    node = tree.nodes.new("ShaderNodeVectorDisplacement")
    output = next(node for node in tree.nodes if node.type == "OUTPUT_MATERIAL")
    tree.links.new(node.outputs[0], output.inputs["Displacement"])
    material.displacement_method = "DISPLACEMENT"
    build.add_sphere("Ball", material)
    bpy.context.view_layer.update()
    notes = [note for note in read_scene(bpy.context.scene).notes if note.datablock == 'Material "Relief"']
    assert [note.severity for note in notes] == ["ignored"]
    assert "Vector Displacement" in notes[0].message


@pytest.mark.parametrize("interpolation", ["Linear", "Closest"])
@pytest.mark.parametrize("extension", ["REPEAT", "EXTEND", "CLIP", "MIRROR"])
def test_heights_are_what_the_engine_looks_up(extension: str, interpolation: str) -> None:
    torch = pytest.importorskip("torch")
    from likeness.engine.ops.blender_texture import sample_texture

    rng = np.random.default_rng(3)
    pixels = rng.uniform(size=(5, 7, 4)).astype(np.float32)
    uv = rng.uniform(-1.5, 2.5, (400, 2)).astype(np.float32)
    texture = Texture("", extension=extension, interpolation=interpolation, channel=1)
    expected = sample_texture(torch.from_numpy(pixels), torch.from_numpy(uv), extension, interpolation)[:, 1].numpy()
    found = _looked_up(Image("", pixels), texture, uv.astype(np.float64))
    assert np.quantile(np.abs(found - expected), 0.99) < 1e-5  # rounding may choose another texel
