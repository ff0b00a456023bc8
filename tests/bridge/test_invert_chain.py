# SPDX-License-Identifier: GPL-3.0-or-later
"""Fits written through the artist's nodes: Cycles shows the fitted values, and the nodes are still there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from likeness.bridge.write_result import WriteSummary, write_result
from likeness.engine.result import FitResult, FittedImage
from tests.bridge.probe import add_square, new_material, shoot, top_camera
from tests.scenes.build import add_image, encode_srgb

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 16  # of image and picture: a pixel shows the centre of a texel


class _Chain:
    """A material with an Image Texture, nodes behind it, and a socket that they feed."""

    def __init__(self, socket: str = "Base Color", space: str = "sRGB") -> None:
        self.material = new_material("Gold")
        self.tree = self.material.node_tree
        self.shader = next(node for node in self.tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
        self.entry = self.shader.inputs[socket]
        self.texture = self.node("ShaderNodeTexImage", interpolation="Closest")
        self.image = self.texture.outputs["Color"]
        values = np.random.default_rng(3).random((SIZE, SIZE, 3))
        self.original = self.texture.image = add_image("Own", values, space)
        add_square(self.material)
        self.camera = top_camera()

    def node(self, kind: str, inputs: dict[str, Any] | None = None, **settings: Any) -> bpy.types.Node:
        """A node with inputs by identifier: sockets are linked, values set."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for socket in node.inputs:
            value = (inputs or {}).get(socket.identifier)
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif value is not None:
                socket.default_value = value
        return node

    def mix(self, blend: str, factor: Any, a: Any, b: Any) -> bpy.types.NodeSocket:
        inputs = {"Factor_Float": factor, "A_Color": a, "B_Color": b}
        node = self.node("ShaderNodeMix", inputs, data_type="RGBA", blend_type=blend)
        return next(socket for socket in node.outputs if socket.identifier == "Result_Color")

    def feed(self, out: bpy.types.NodeSocket) -> None:
        self.tree.links.new(out, self.entry)

    def seen(self, folder: Path) -> np.ndarray:
        """What Cycles makes of all that feeds the socket, [SIZE, SIZE, 3]."""
        output = self.tree.get_output_node("CYCLES")
        emission = self.node("ShaderNodeEmission", {"Color": self.entry.links[0].from_socket})
        self.tree.links.new(emission.outputs[0], output.inputs["Surface"])
        picture = shoot(self.camera, folder, SIZE)
        self.tree.nodes.remove(emission)
        self.tree.links.new(self.shader.outputs[0], output.inputs["Surface"])
        return picture

    def possible(self, folder: Path) -> np.ndarray:
        """Values that the chain gives with another image than it has now, by Cycles."""
        space = self.original.colorspace_settings.name
        values = np.random.default_rng(8).random((SIZE, SIZE, 3))
        self.texture.image = add_image("Truth", values, space)
        picture = self.seen(folder)
        self.texture.image = self.original
        return picture

    def write(self, linear: np.ndarray, socket: str = "base_color", **more: Any) -> WriteSummary:
        colour = socket == "base_color"
        stored = encode_srgb(linear).astype(np.float32) if colour else linear[..., :1].astype(np.float32)
        fitted = FittedImage("Gold", socket, stored, "sRGB" if colour else "linear", 8 if colour else 16)
        return write_result(bpy.context.scene, FitResult(images=[fitted], **more))

    def state(self) -> tuple[set[str], set[tuple[str, str, str, str]]]:
        """Nodes and links."""
        links = {
            (link.from_node.name, link.from_socket.identifier, link.to_node.name, link.to_socket.identifier)
            for link in self.tree.links
        }
        return {node.name for node in self.tree.nodes}, links


def _ramp(chain: _Chain) -> bpy.types.NodeSocket:
    node = chain.node("ShaderNodeValToRGB", {"Fac": chain.image})
    node.color_ramp.elements[0].color = (0.1, 0.6, 0.2, 1)
    node.color_ramp.elements[1].color = (0.9, 0.2, 0.7, 1)
    return node.outputs["Color"]


def _curves(chain: _Chain) -> bpy.types.NodeSocket:
    node = chain.node("ShaderNodeRGBCurve", {"Fac": 0.8, "Color": chain.image})
    node.mapping.curves[0].points.new(0.4, 0.7)
    node.mapping.curves[3].points.new(0.5, 0.3)
    return node.outputs[0]


def _masked(chain: _Chain) -> bpy.types.NodeSocket:
    """Another image says how much of the artist's colour shows."""
    mask = add_image("Mask", np.random.default_rng(4).random((SIZE, SIZE, 3)) * 0.5, "Non-Color")
    factor = chain.node("ShaderNodeTexImage", interpolation="Closest", image=mask).outputs["Color"]
    return chain.mix("MIX", factor, chain.image, (0.2, 0.4, 0.6, 1))


def _group(chain: _Chain) -> bpy.types.NodeSocket:
    group = bpy.data.node_groups.new("Grading", "ShaderNodeTree")
    for name, in_out in (("Color", "INPUT"), ("Color", "OUTPUT")):
        group.interface.new_socket(name, in_out=in_out, socket_type="NodeSocketColor")
    start, end, gamma = (group.nodes.new(kind) for kind in ("NodeGroupInput", "NodeGroupOutput", "ShaderNodeGamma"))
    gamma.inputs["Gamma"].default_value = 1.4
    group.links.new(start.outputs[0], gamma.inputs["Color"])
    group.links.new(gamma.outputs[0], end.inputs[0])
    node = chain.tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    chain.tree.links.new(chain.image, node.inputs[0])
    return node.outputs[0]


def _hue(chain: _Chain) -> bpy.types.NodeSocket:
    inputs = {"Hue": 0.6, "Saturation": 0.8, "Value": 0.9, "Fac": 1.0, "Color": chain.image}
    return chain.node("ShaderNodeHueSaturation", inputs).outputs[0]


COLOURS: dict[str, Callable[[_Chain], bpy.types.NodeSocket]] = {
    "multiply": lambda chain: chain.mix("MULTIPLY", 1.0, chain.image, (0.8, 0.9, 0.5, 1)),
    "overlay": lambda chain: chain.mix("OVERLAY", 0.6, chain.image, (0.3, 0.5, 0.7, 1)),
    "a mask": _masked,
    "gamma": lambda chain: chain.node("ShaderNodeGamma", {"Color": chain.image, "Gamma": 0.7}).outputs[0],
    "invert": lambda chain: chain.node("ShaderNodeInvert", {"Color": chain.image, "Fac": 0.9}).outputs[0],
    "contrast": lambda chain: chain.node(
        "ShaderNodeBrightContrast", {"Color": chain.image, "Bright": 0.2, "Contrast": -0.3}
    ).outputs[0],
    "hue": _hue,
    "ramp": _ramp,
    "curves": _curves,
    "a group": _group,
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_go_through_the_artists_nodes(name: str, tmp_path: Path) -> None:
    chain = _Chain()
    chain.feed(COLOURS[name](chain))
    wanted = chain.possible(tmp_path)
    before = chain.state()
    summary = chain.write(wanted)
    assert summary.notes == []
    assert chain.state() == before
    assert chain.texture.image.name == "Gold base color"
    error = np.abs(encode_srgb(chain.seen(tmp_path)) - encode_srgb(wanted))
    assert np.quantile(error.max(-1), 0.99) <= 1 / 255


def _one_channel(chain: _Chain) -> bpy.types.NodeSocket:
    return chain.node("ShaderNodeSeparateColor", {"Color": chain.image}).outputs["Green"]


def _maths(chain: _Chain) -> bpy.types.NodeSocket:
    node = chain.node("ShaderNodeMath", {"Value": chain.image, "Value_001": 1.5}, operation="POWER")
    inputs = {"Value": node.outputs[0], "Value_001": 0.6, "Value_002": 0.2}
    return chain.node("ShaderNodeMath", inputs, operation="MULTIPLY_ADD").outputs[0]


NUMBERS: dict[str, Callable[[_Chain], bpy.types.NodeSocket]] = {
    "one channel": _one_channel,
    "maths": _maths,
    "map range": lambda chain: chain.node(
        "ShaderNodeMapRange", {"Value": chain.image, "To Min": 0.9, "To Max": 0.2}, interpolation_type="SMOOTHSTEP"
    ).outputs[0],
}


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("space", ["sRGB", "Non-Color"])
def test_numbers_go_through_the_artists_nodes(name: str, space: str, tmp_path: Path) -> None:
    chain = _Chain("Roughness", space)
    chain.feed(NUMBERS[name](chain))
    wanted = chain.possible(tmp_path)
    before = chain.state()
    assert chain.write(wanted, "roughness").notes == []
    assert chain.state() == before
    assert chain.texture.image.colorspace_settings.name == space
    assert np.quantile(np.abs(chain.seen(tmp_path) - wanted), 0.99) <= 1 / 255


def test_values_that_the_nodes_cannot_give_replace_them(tmp_path: Path) -> None:
    chain = _Chain()
    chain.feed(_ramp(chain))
    wanted = np.random.default_rng(1).random((SIZE, SIZE, 3)).astype(np.float32)
    notes = chain.write(wanted).notes
    assert len(notes) == 1
    assert "fitted values lie outside of what" in notes[0].message
    assert "ColorRamp" in notes[0].message or "Color Ramp" in notes[0].message
    assert chain.texture.image == chain.original
    written = chain.entry.links[0].from_node
    written.interpolation = "Closest"
    np.testing.assert_allclose(encode_srgb(chain.seen(tmp_path)), encode_srgb(wanted), atol=1 / 255)


def test_texels_that_no_photo_saw_may_differ(tmp_path: Path) -> None:
    chain = _Chain()
    chain.feed(chain.mix("MULTIPLY", 1.0, chain.image, (0.5, 0.5, 0.5, 1)))
    wanted = chain.possible(tmp_path)
    wanted[: SIZE // 2] = 0.9  # brighter than the nodes let through
    seen = np.zeros((SIZE // 2, SIZE // 2), np.float32)
    seen[SIZE // 4 :] = 1
    assert chain.write(wanted, coverage={"Gold": seen}).notes == []
    half = chain.seen(tmp_path)[SIZE // 2 :]
    error = np.abs(encode_srgb(half) - encode_srgb(wanted[SIZE // 2 :]))
    assert np.quantile(error.max(-1), 0.99) <= 1 / 255


def test_an_image_that_also_serves_something_else_is_left_alone(tmp_path: Path) -> None:
    chain = _Chain()
    chain.feed(COLOURS["multiply"](chain))
    wanted = chain.possible(tmp_path)
    number = chain.node("ShaderNodeMath", {"Value": chain.image, "Value_001": 0.5}, operation="MULTIPLY")
    chain.tree.links.new(number.outputs[0], chain.shader.inputs["Roughness"])
    notes = chain.write(wanted).notes
    assert ["also serves something else" in note.message for note in notes] == [True]
    assert chain.texture.image == chain.original
    assert chain.shader.inputs["Roughness"].links[0].from_node == number


def test_nodes_that_are_replaced_leave_their_mapping_to_the_image() -> None:
    chain = _Chain()
    mapping = chain.node("ShaderNodeMapping", {"Scale": (2, 3, 1)})
    chain.tree.links.new(chain.node("ShaderNodeTexCoord").outputs["UV"], mapping.inputs["Vector"])
    chain.tree.links.new(mapping.outputs[0], chain.texture.inputs["Vector"])
    chain.feed(_ramp(chain))
    chain.write(np.random.default_rng(1).random((SIZE, SIZE, 3)))
    assert chain.entry.links[0].from_node.inputs["Vector"].links[0].from_node == mapping


def test_what_was_baked_is_replaced_and_named() -> None:
    chain = _Chain()
    noise = chain.node("ShaderNodeTexNoise")
    chain.feed(noise.outputs["Color"])
    notes = chain.write(np.full((SIZE, SIZE, 3), 0.4)).notes
    assert [f'node "{noise.name}"' in note.message and "was baked" in note.message for note in notes] == [True]
