# SPDX-License-Identifier: GPL-3.0-or-later
"""World and its rotation against Cycles."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Euler

from likeness.bridge.notes import Notes
from likeness.bridge.read_image import ImageReader
from likeness.bridge.read_world import read_world
from likeness.bridge.versions import enable_nodes
from likeness.engine.scene import World
from tests.bridge.probe import shoot

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 24


def new_world(pixels: np.ndarray) -> tuple[bpy.types.World, bpy.types.Node]:
    """A world with an environment texture of those pixels [H, W, 3] at its background; the texture node too."""
    world = bpy.data.worlds.new("Himmel")
    enable_nodes(world)
    world.cycles.sampling_method = "NONE"  # no importance map: only camera rays look here
    bpy.context.scene.world = world
    tree = world.node_tree
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("Panorama", width, height, float_buffer=True)
    image.pixels.foreach_set(np.concatenate([pixels, np.ones((height, width, 1))], -1).astype(np.float32).ravel())
    image.update()
    texture = tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = image
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    background.inputs["Strength"].default_value = 1.5
    tree.links.new(texture.outputs["Color"], background.inputs["Color"])
    return world, texture


def read(world: bpy.types.World) -> tuple[World, ImageReader, Notes]:
    """The world as the engine gets it."""
    notes = Notes()
    images = ImageReader(notes)
    return read_world(world, images, notes), images, notes


def smooth_panorama(width: int = 64) -> np.ndarray:
    """A panorama whose every direction has its own colour, free of seams."""
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(width // 2) + 0.5) / (width // 2))
    azimuth, elevation = -2 * np.pi * (u - 0.5), np.pi * (v - 0.5)
    directions = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], -1
    )
    return directions * 0.5 + 0.5


def wide_camera() -> bpy.types.Object:
    """A camera with a view of 90° in a skew direction."""
    data = bpy.data.cameras.new("Wide")
    data.lens, data.sensor_width = 18, 36
    camera = bpy.data.objects.new("Wide", data)
    camera.rotation_euler = (1.1, 0.2, 0.7)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.view_layer.update()
    return camera


def view_directions(camera: bpy.types.Object) -> np.ndarray:
    """World directions of the pixels [SIZE, SIZE, 3] of :func:`wide_camera`."""
    line = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    x, y = np.meshgrid(line, line)
    local = np.stack([x, y, -np.ones_like(x)], -1)
    directions = local @ np.array(camera.matrix_world)[:3, :3].T
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


@pytest.mark.parametrize("kind", ["POINT", "TEXTURE", "NORMAL", "VECTOR"])
def test_rotated_environment_equals_cycles(kind: str, tmp_path: Path) -> None:
    world, texture = new_world(smooth_panorama())
    tree = world.node_tree
    coordinates, mapping = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    mapping.vector_type = kind
    mapping.inputs["Rotation"].default_value = Euler((0.4, -0.7, 2.1))
    tree.links.new(coordinates.outputs["Generated"], mapping.inputs["Vector"])
    tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    camera = wide_camera()
    seen = shoot(camera, tmp_path, SIZE)
    result, images, notes = read(world)
    assert notes.as_list() == []
    assert result.image in images.images
    assert result.strength == 1.5
    # the panorama shows .5 + .5 d, so the lookup direction can be read off; bilinear error of 64 x 32 texels
    looked_up = view_directions(camera) @ result.rotation.T
    inside = np.abs(looked_up[..., 2]) < np.cos(np.pi / 64)  # Cycles wraps around in the half texel at a pole
    np.testing.assert_allclose((seen / 1.5)[inside], (looked_up * 0.5 + 0.5)[inside], atol=5e-3)


def test_colour_and_strength() -> None:
    world = bpy.data.worlds.new("Welt")
    enable_nodes(world)
    background = next(node for node in world.node_tree.nodes if node.bl_idname == "ShaderNodeBackground")
    background.inputs["Color"].default_value = (0.1, 0.2, 0.3, 1)
    background.inputs["Strength"].default_value = 2.5
    result, images, notes = read(world)
    np.testing.assert_allclose(result.color, (0.1, 0.2, 0.3), rtol=1e-6)
    assert (result.strength, result.image, notes.as_list()) == (2.5, None, [])
    assert not read_world(None, images, notes).color.any()


@pytest.mark.parametrize("kind", ["unknown node", "mixed backgrounds", "scaled mapping"])
def test_unknown_worlds_are_rendered_into_an_image(kind: str, tmp_path: Path) -> None:
    world, texture = new_world(smooth_panorama())
    tree = world.node_tree
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputWorld")
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    if kind == "unknown node":
        gamma = tree.nodes.new("ShaderNodeGamma")
        gamma.inputs["Gamma"].default_value = 2.0
        tree.links.new(texture.outputs["Color"], gamma.inputs["Color"])
        tree.links.new(gamma.outputs["Color"], background.inputs["Color"])
    elif kind == "mixed backgrounds":
        mix, other = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBackground")
        other.inputs["Color"].default_value = (0, 1, 0, 1)
        tree.links.new(background.outputs[0], mix.inputs[1])
        tree.links.new(other.outputs[0], mix.inputs[2])
        tree.links.new(mix.outputs[0], output.inputs["Surface"])
    else:
        coordinates, mapping = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = (1, 1, 2)
        mapping.inputs["Rotation"].default_value = (0.1, 0.2, 0.3)
        tree.links.new(coordinates.outputs["Generated"], mapping.inputs["Vector"])
        tree.links.new(mapping.outputs["Vector"], texture.inputs["Vector"])
    scenes, cameras = len(bpy.data.scenes), len(bpy.data.cameras)
    result, images, notes = read(world)
    assert (len(bpy.data.scenes), len(bpy.data.cameras)) == (scenes, cameras)
    assert [(note.severity, note.datablock) for note in notes.as_list()] == [("approximated", 'World "Himmel"')]
    assert result.strength == 1
    np.testing.assert_array_equal(result.rotation, np.eye(3))
    camera = wide_camera()
    seen = shoot(camera, tmp_path, SIZE)
    # the panorama at the nearest texel (docs/blender-image-formation.md §2): smooth, so an error of half a texel
    x, y, z = np.moveaxis(view_directions(camera), -1, 0)
    pixels = images.images[result.image].pixels
    height, width = pixels.shape[:2]
    column = ((0.5 - np.arctan2(y, x) / (2 * np.pi)) * width).astype(int).clip(0, width - 1)
    row = ((0.5 + np.arcsin(z) / np.pi) * height).astype(int).clip(0, height - 1)
    away = np.abs(z) < 0.99
    np.testing.assert_allclose(seen[away], pixels[row, column, :3][away], atol=0.04)


def test_a_background_for_the_camera_alone_does_not_light_the_scene() -> None:
    world, texture = new_world(smooth_panorama(8))
    tree = world.node_tree
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputWorld")
    background = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBackground")
    mix, other = tree.nodes.new("ShaderNodeMixShader"), tree.nodes.new("ShaderNodeBackground")
    path = tree.nodes.new("ShaderNodeLightPath")
    tree.links.new(path.outputs["Is Camera Ray"], mix.inputs[0])
    tree.links.new(background.outputs[0], mix.inputs[1])
    tree.links.new(other.outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    result, _, notes = read(world)
    assert result.image == texture.image.name
    assert result.strength == 1.5
    assert [note.severity for note in notes.as_list()] == ["approximated"]
    assert "Mix Shader" in notes.as_list()[0].message
