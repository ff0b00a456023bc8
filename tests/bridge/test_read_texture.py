# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture coordinates, mappings, extensions and channels against Cycles."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.nodes import follow
from likeness.bridge.notes import Notes
from likeness.bridge.read_image import ImageReader
from likeness.bridge.read_texture import TextureReader
from likeness.engine.scene import Image, Note, Texture
from tests.bridge.probe import add_square, emission_material, look_up, pixel_positions, shoot, top_camera

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 20
MAPPINGS = {
    "POINT": ((0.3, -0.2, 0.1), (0.0, 0.0, 0.7), (1.5, 0.6, 1.0)),
    "TEXTURE": ((0.3, -0.2, 0.1), (0.2, -0.4, 0.7), (1.5, 0.6, 0.8)),
    "VECTOR": ((0.3, -0.2, 0.1), (0.3, 0.5, -0.4), (0.7, -1.6, 1.0)),
    "NORMAL": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def _image(width: int = 8, height: int = 6) -> bpy.types.Image:
    image = bpy.data.images.new("Texture", width, height, float_buffer=True)
    image.pixels.foreach_set(np.random.default_rng(1).random(width * height * 4).astype(np.float32))
    image.update()
    return image


class _Probe:
    """An emission material with an Image Texture whose Vector input the test wires."""

    def __init__(self, uv_scale: float = 1.0, uv_offset: float = 0.0) -> None:
        material, self.socket = emission_material()
        self.tree = material.node_tree
        self.texture = self.tree.nodes.new("ShaderNodeTexImage")
        self.texture.image = _image()
        self.tree.links.new(self.texture.outputs["Color"], self.socket)
        self.square = add_square(material, uv_scale, uv_offset)
        self.notes = Notes()
        self.images = ImageReader(self.notes)

    def new(self, kind: str) -> bpy.types.Node:
        return self.tree.nodes.new(kind)

    def read(self) -> Texture:
        texture = TextureReader(self.images, self.notes, "Material").read(follow(self.socket))
        assert texture is not None
        return texture

    def expected(self, texture: Texture, uv: np.ndarray) -> np.ndarray:
        image: Image = self.images.images[texture.image]
        return look_up(image, texture, uv.reshape(-1, 2)).reshape(*uv.shape[:2], 3)

    def notes_list(self) -> list[Note]:
        return self.notes.as_list()


@pytest.mark.parametrize("kind", MAPPINGS)
def test_two_mappings_in_a_row_equal_cycles(kind: str, tmp_path: Path) -> None:
    probe = _Probe()
    first, second = probe.new("ShaderNodeMapping"), probe.new("ShaderNodeMapping")
    first.vector_type, second.vector_type = kind, "POINT"
    for name, value in zip(("Location", "Rotation", "Scale"), MAPPINGS[kind], strict=True):
        if name in first.inputs and first.inputs[name].enabled:
            first.inputs[name].default_value = value
    second.inputs["Rotation"].default_value = (0.0, 0.6, -0.3)
    second.inputs["Location"].default_value = (0.05, 0.1, 0.0)
    coordinates = probe.new("ShaderNodeTexCoord")
    probe.tree.links.new(coordinates.outputs["UV"], first.inputs["Vector"])
    probe.tree.links.new(first.outputs["Vector"], second.inputs["Vector"])
    probe.tree.links.new(second.outputs["Vector"], probe.texture.inputs["Vector"])
    seen = shoot(top_camera(), tmp_path, SIZE)
    texture = probe.read()
    if kind == "NORMAL":
        assert probe.notes_list()  # it normalises: not affine, so it must be reported
        return
    np.testing.assert_allclose(seen, probe.expected(texture, pixel_positions(SIZE) / 2 + 0.5), atol=3e-4)
    assert probe.notes_list() == []


@pytest.mark.parametrize("interpolation", ["Linear", "Closest"])
@pytest.mark.parametrize("extension", ["REPEAT", "EXTEND", "CLIP", "MIRROR"])
def test_extensions_equal_cycles(extension: str, interpolation: str, tmp_path: Path) -> None:
    probe = _Probe(uv_scale=4.1, uv_offset=-1.87)
    probe.texture.extension, probe.texture.interpolation = extension, interpolation
    seen = shoot(top_camera(), tmp_path, SIZE)
    uv = (pixel_positions(SIZE) / 2 + 0.5) * 4.1 - 1.87
    np.testing.assert_allclose(seen, probe.expected(probe.read(), uv), atol=1e-3)


def test_uv_map_node_through_reroute_and_group(tmp_path: Path) -> None:
    probe = _Probe()
    second = probe.square.data.uv_layers.new(name="Zweite")
    second.data.foreach_set("uv", np.array([(0, 0), (0, 2), (2, 2), (2, 0)], np.float32).ravel())
    group = bpy.data.node_groups.new("Coordinates", "ShaderNodeTree")
    group.interface.new_socket("Vector", in_out="OUTPUT", socket_type="NodeSocketVector")
    uv_map, end = group.nodes.new("ShaderNodeUVMap"), group.nodes.new("NodeGroupOutput")
    uv_map.uv_map = "Zweite"
    group.links.new(uv_map.outputs[0], end.inputs[0])
    node, reroute = probe.new("ShaderNodeGroup"), probe.new("NodeReroute")
    node.node_tree = group
    probe.tree.links.new(node.outputs[0], reroute.inputs[0])
    probe.tree.links.new(reroute.outputs[0], probe.texture.inputs["Vector"])
    seen = shoot(top_camera(), tmp_path, SIZE)
    texture = probe.read()
    assert texture.uv_map == "Zweite"
    swapped = (pixel_positions(SIZE) + 1)[..., ::-1]
    np.testing.assert_allclose(seen, probe.expected(texture, swapped), atol=3e-4)


@pytest.mark.parametrize("channel", ["Red", "Green", "Blue"])
def test_separate_colour_equals_cycles(channel: str, tmp_path: Path) -> None:
    probe = _Probe()
    separate = probe.new("ShaderNodeSeparateColor")
    probe.tree.links.new(probe.texture.outputs["Color"], separate.inputs[0])
    probe.tree.links.new(separate.outputs[channel], probe.socket)
    seen = shoot(top_camera(), tmp_path, SIZE)
    np.testing.assert_allclose(seen, probe.expected(probe.read(), pixel_positions(SIZE) / 2 + 0.5), atol=3e-4)


def test_unsupported_coordinates_are_named() -> None:
    probe = _Probe()
    coordinates = probe.new("ShaderNodeTexCoord")
    coordinates.name = "Koordinaten"
    probe.tree.links.new(coordinates.outputs["Object"], probe.texture.inputs["Vector"])
    assert probe.read().uv_map is None
    assert any("Koordinaten" in note.message and '"Object"' in note.message for note in probe.notes_list())
