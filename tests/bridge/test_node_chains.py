# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of colour and number nodes behind image textures, against what Cycles shows of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from likeness.bridge import node_maths
from likeness.bridge.nodes import Source
from likeness.bridge.notes import Notes
from likeness.bridge.read_image import ImageReader
from likeness.bridge.read_inputs import InputReader
from likeness.engine.scene import Note, Socket
from tests.bridge.probe import add_square, emission_material, look_up, pixel_positions, shoot, top_camera

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 16  # of image and picture: a pixel shows the centre of a texel


class _Chain:
    """An Image Texture and an Emission shader, with nodes between them."""

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        self.material, self.end = emission_material()
        self.tree = self.material.node_tree
        self.first, self.second = self._texture(1, low, high), self._texture(2, low, high)
        add_square(self.material)

    def _texture(self, seed: int, low: float, high: float) -> bpy.types.NodeSocket:
        image = bpy.data.images.new("Texture", SIZE, SIZE, float_buffer=True)
        image.colorspace_settings.name = "Non-Color"
        pixels = np.random.default_rng(seed).random((SIZE, SIZE, 4)).astype(np.float32) * (high - low) + low
        pixels[0, :4, :3] = [[0.5] * 3, [0] * 3, [1] * 3, [1, 0, 0]]
        pixels[..., 3] = 1
        image.pixels.foreach_set(pixels.ravel())
        image.update()
        node = self.tree.nodes.new("ShaderNodeTexImage")
        node.image, node.interpolation = image, "Closest"  # the picture's samples are not quite at the centres
        return node.outputs["Color"]

    def node(self, kind: str, inputs: dict[str, Any], **settings: Any) -> bpy.types.Node:
        """A node with inputs by identifier: sockets are linked, values set."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for socket in node.inputs:
            value = inputs.get(socket.identifier)
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif value is not None:
                socket.default_value = value
        return node

    def compare(self, out: bpy.types.NodeSocket, folder: Path, atol: float = 2e-4) -> None:
        """What the reader makes of an output is what Cycles shows of it."""
        self.tree.links.new(out, self.end)
        seen = shoot(top_camera(), folder, SIZE)
        socket, images, notes = self.read()
        if socket.texture is None:
            expected = np.broadcast_to(socket.value, seen.shape)
        else:
            uv = pixel_positions(SIZE).reshape(-1, 2) / 2 + 0.5
            expected = look_up(images.images[socket.texture.image], socket.texture, uv).reshape(seen.shape)
        assert notes == []
        np.testing.assert_allclose(seen, expected, atol=atol, rtol=2e-4)

    def read(self) -> tuple[Socket, ImageReader, list[Note]]:
        notes = Notes()
        images = ImageReader(notes)
        reader = InputReader(self.material, images, notes)
        socket = reader.socket(Source(self.end.node, None, None), "Color", 3)
        return socket, images, notes.as_list()


def _identified(sockets: bpy.types.bpy_prop_collection, identifier: str) -> bpy.types.NodeSocket:
    return next(socket for socket in sockets if socket.identifier == identifier)


@pytest.mark.parametrize("blend", list(node_maths.BLENDS))
def test_mixing_colours(blend: str, tmp_path: Path) -> None:
    chain = _Chain()
    inputs = {"Factor_Float": 0.7, "A_Color": chain.first, "B_Color": chain.second}
    node = chain.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type=blend)
    chain.compare(_identified(node.outputs, "Result_Color"), tmp_path)


@pytest.mark.parametrize("operation", list(node_maths.MATHS))
def test_maths(operation: str, tmp_path: Path) -> None:
    chain = _Chain(-2.0, 2.0)
    numbers = [
        chain.node("ShaderNodeSeparateColor", {"Color": side}).outputs[0] for side in (chain.first, chain.second)
    ]
    inputs = {"Value": numbers[0], "Value_001": numbers[1], "Value_002": 0.3}
    node = chain.node("ShaderNodeMath", inputs, operation=operation)
    # negative results, too
    shifted = chain.node("ShaderNodeMath", {"Value": node.outputs[0], "Value_001": 3.0}, operation="ADD")
    chain.compare(shifted.outputs[0], tmp_path, 1e-3)


@pytest.mark.parametrize("kind", ["LINEAR", "STEPPED", "SMOOTHSTEP", "SMOOTHERSTEP"])
def test_map_range(kind: str, tmp_path: Path) -> None:
    chain = _Chain()
    number = chain.node("ShaderNodeRGBToBW", {"Color": chain.first}).outputs[0]
    inputs = {"Value": number, "From Min": 0.2, "From Max": 0.7, "To Min": 0.9, "To Max": 0.1, "Steps": 3.0}
    node = chain.node("ShaderNodeMapRange", inputs, interpolation_type=kind, clamp=kind != "LINEAR")
    chain.compare(node.outputs[0], tmp_path)


def _hue(chain: _Chain) -> bpy.types.Node:
    inputs = {"Hue": 0.3, "Saturation": 1.4, "Value": 0.8, "Fac": 0.9, "Color": chain.first}
    return chain.node("ShaderNodeHueSaturation", inputs)


def _separated(mode: str) -> Callable[[_Chain], bpy.types.Node]:
    """To parts and back, in another order."""

    def build(chain: _Chain) -> bpy.types.Node:
        apart = chain.node("ShaderNodeSeparateColor", {"Color": chain.first}, mode=mode)
        names = ("Red", "Green", "Blue")
        parts = {name: apart.outputs[turned] for name, turned in zip(names, (0, 2, 1), strict=True)}
        return chain.node("ShaderNodeCombineColor", parts, mode=mode)

    return build


def _ramp(interpolation: str) -> Callable[[_Chain], bpy.types.Node]:
    def build(chain: _Chain) -> bpy.types.Node:
        node = chain.node("ShaderNodeValToRGB", {"Fac": chain.first})
        ramp = node.color_ramp
        ramp.interpolation = interpolation
        ramp.elements[0].position, ramp.elements[1].position = 0.2, 0.9
        ramp.elements[1].color = (0.2, 0.7, 0.9, 1)
        ramp.elements.new(0.6).color = (1, 0.2, 0.1, 1)
        return node

    return build


def _curves(extend: str) -> Callable[[_Chain], bpy.types.Node]:
    def build(chain: _Chain) -> bpy.types.Node:
        bright = chain.node("ShaderNodeGamma", {"Color": chain.first, "Gamma": 0.5})
        node = chain.node("ShaderNodeRGBCurve", {"Fac": 0.8, "Color": bright.outputs[0]})
        node.mapping.extend = extend
        node.mapping.curves[0].points.new(0.4, 0.8)
        node.mapping.curves[3].points.new(0.5, 0.3)
        node.mapping.curves[1].points[0].location = (0.2, 0.1)
        return node

    return build


CHAINS: dict[str, Callable[[_Chain], bpy.types.Node]] = {
    "hue": _hue,
    "gamma": lambda chain: chain.node("ShaderNodeGamma", {"Color": chain.first, "Gamma": 2.2}),
    "contrast": lambda chain: chain.node(
        "ShaderNodeBrightContrast", {"Color": chain.first, "Bright": 0.1, "Contrast": 0.6}
    ),
    "invert": lambda chain: chain.node("ShaderNodeInvert", {"Color": chain.first, "Fac": 0.8}),
    "rgb": _separated("RGB"),
    "hsv": _separated("HSV"),
    "hsl": _separated("HSL"),
    "ramp": _ramp("LINEAR"),
    "stepped ramp": _ramp("CONSTANT"),
    "smooth ramp": _ramp("B_SPLINE"),
    "curves": _curves("EXTRAPOLATED"),
    "flat curves": _curves("HORIZONTAL"),
    "old mix": lambda chain: chain.node(
        "ShaderNodeMixRGB", {"Fac": 1.5, "Color1": chain.first, "Color2": (0.2, 2, 0.5, 1)}, blend_type="MULTIPLY"
    ),
    "clamp": lambda chain: chain.node("ShaderNodeClamp", {"Value": chain.first, "Min": 0.3, "Max": 0.6}),
    "xyz": lambda chain: chain.node(
        "ShaderNodeCombineXYZ", {"X": 0.5, "Y": chain.node("ShaderNodeSeparateXYZ", {"Vector": chain.first}).outputs[2]}
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_colour_nodes(name: str, tmp_path: Path) -> None:
    chain = _Chain()
    chain.compare(CHAINS[name](chain).outputs[0], tmp_path)


def test_a_chain_in_a_group_with_exposed_values(tmp_path: Path) -> None:
    chain = _Chain()
    group = bpy.data.node_groups.new("Aufbereitung", "ShaderNodeTree")
    group.interface.new_socket("Color", in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("Amount", in_out="INPUT", socket_type="NodeSocketFloat")
    group.interface.new_socket("Color", in_out="OUTPUT", socket_type="NodeSocketColor")
    start, end, gamma = (group.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "ShaderNodeGamma"))
    group.links.new(start.outputs[0], gamma.inputs["Color"])
    group.links.new(start.outputs[1], gamma.inputs["Gamma"])
    group.links.new(gamma.outputs[0], end.inputs[0])
    node = chain.tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    chain.tree.links.new(chain.first, node.inputs[0])
    node.inputs[1].default_value = 1.7
    inputs = {"Factor_Float": 1.0, "A_Color": node.outputs[0], "B_Color": (0.5, 1.0, 2.0, 1)}
    mix = chain.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type="MULTIPLY")
    chain.compare(_identified(mix.outputs, "Result_Color"), tmp_path)


def test_an_eight_bit_image_is_interpolated_as_cycles_does(tmp_path: Path) -> None:
    chain = _Chain()
    image = bpy.data.images.new("Acht Bit", 4, 4)
    x = np.linspace(0.1, 1, 4, dtype=np.float32)
    pixels = np.ones((4, 4, 4), np.float32)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = x, x[:, None], 0.5
    image.pixels.foreach_set(pixels.ravel())
    chain.first.node.image, chain.first.node.interpolation = image, "Linear"
    inputs = {"Factor_Float": 1.0, "A_Color": chain.first, "B_Color": (0.5, 0.9, 0.3, 1)}
    mix = chain.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type="MULTIPLY")
    chain.compare(_identified(mix.outputs, "Result_Color"), tmp_path, 4e-3)


def test_textures_that_lie_differently_are_left_to_baking() -> None:
    chain = _Chain()
    mapping = chain.node("ShaderNodeMapping", {"Scale": (2, 2, 1)})
    chain.tree.links.new(chain.node("ShaderNodeTexCoord", {}).outputs["UV"], mapping.inputs["Vector"])
    chain.tree.links.new(mapping.outputs[0], chain.second.node.inputs["Vector"])
    inputs = {"A_Color": chain.first, "B_Color": chain.second}
    mix = chain.node("ShaderNodeMix", inputs, data_type="RGBA")
    chain.tree.links.new(_identified(mix.outputs, "Result_Color"), chain.end)
    _, _, notes = chain.read()
    assert ["will be baked" in note.message for note in notes] == [True]
