# SPDX-License-Identifier: GPL-3.0-or-later
"""Other shaders than Principled, mixed and added: the engine's picture against Cycles' of the original nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.fix_material import use_principled
from likeness.bridge.read_scene import read_scene
from likeness.bridge.write_material import own_principled
from tests.bridge.probe import new_material
from tests.bridge.sphere import noise, principled, psnr, stage
from tests.scenes.cycles import render_cycles

pytestmark = pytest.mark.usefixtures("empty_file")


class _Shaders:
    """A material whose surface a test builds from shader nodes."""

    def __init__(self) -> None:
        self.material = new_material("Shader")
        self.tree = self.material.node_tree

    def node(self, kind: str, **inputs: object) -> bpy.types.Node:
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in inputs.items():
            socket = node.inputs[name]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def join(self, kind: str, first: bpy.types.Node, second: bpy.types.Node, factor: object = None) -> bpy.types.Node:
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        shaders = [socket for socket in node.inputs if socket.type == "SHADER"]
        for shader, socket in zip((first, second), shaders, strict=True):
            self.tree.links.new(shader.outputs[0], socket)
        if isinstance(factor, bpy.types.NodeSocket):
            self.tree.links.new(factor, node.inputs[0])
        elif factor is not None:
            node.inputs[0].default_value = factor
        return node

    def show(self, node: bpy.types.Node) -> None:
        self.tree.links.new(node.outputs[0], self.tree.get_output_node("CYCLES").inputs["Surface"])


RED, BLUE, GOLD = (0.8, 0.1, 0.05, 1), (0.05, 0.2, 0.7, 1), (0.9, 0.7, 0.3, 1)


def _diffuse_by_texture(s: _Shaders) -> bpy.types.Node:
    red, blue = s.node("BsdfDiffuse", Color=RED), s.node("BsdfDiffuse", Color=BLUE)
    return s.join("MixShader", red, blue, noise(s.material).outputs[0])


def _principled_mixture(s: _Shaders) -> bpy.types.Node:
    one = principled(s.material)
    other = s.node("BsdfPrincipled", Roughness=0.5)
    one.inputs["Base Color"].default_value, other.inputs["Base Color"].default_value = RED, BLUE
    return s.join("MixShader", one, other, noise(s.material).outputs[0])


def _varnish(s: _Shaders) -> bpy.types.Node:
    return s.join(
        "MixShader",
        s.node("BsdfDiffuse", Color=BLUE),
        s.node("BsdfGlossy", Color=(1, 1, 1, 1), Roughness=0.5),
        s.node("Fresnel", IOR=1.5).outputs[0],
    )


# name -> surface, least agreement with Cycles in dB
SURFACES: dict[str, tuple[Callable[[_Shaders], bpy.types.Node], float]] = {
    "diffuse": (lambda s: s.node("BsdfDiffuse", Color=RED), 50),
    "glossy": (lambda s: s.node("BsdfGlossy", Color=GOLD, Roughness=0.5), 45),
    "diffuse by texture": (_diffuse_by_texture, 50),
    "sum of diffuse": (
        lambda s: s.join("AddShader", s.node("BsdfDiffuse", Color=RED), s.node("BsdfDiffuse", Color=(0, 0.3, 0.1, 1))),
        50,
    ),
    "diffuse and emission": (
        lambda s: s.join("AddShader", s.node("BsdfDiffuse", Color=RED), s.node("Emission", Color=BLUE, Strength=0.3)),
        50,
    ),
    "half emission": (
        lambda s: s.join(
            "MixShader", s.node("BsdfDiffuse", Color=RED), s.node("Emission", Color=BLUE, Strength=0.3), 0.4
        ),
        50,
    ),
    "two principled": (_principled_mixture, 45),
    "varnish": (_varnish, 35),
    "diffuse and glossy": (
        lambda s: s.join(
            "MixShader", s.node("BsdfDiffuse", Color=RED), s.node("BsdfGlossy", Color=GOLD, Roughness=0.5), 0.3
        ),
        30,
    ),
}


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_renders_as_in_cycles(name: str, tmp_path: Path) -> None:
    build, least = SURFACES[name]
    shaders = _Shaders()
    shaders.show(build(shaders))
    stage(shaders.material, "sphere")
    decibels, read = psnr(tmp_path, 256)
    assert decibels >= least
    assert not read.materials["Shader"].editable


def test_what_stands_beside_a_principled_leaves_it_fittable() -> None:
    shaders = _Shaders()
    shader = principled(shaders.material)
    for beside, kind in (("BsdfTransparent", "MixShader"), ("Emission", "AddShader")):
        shaders.show(shaders.join(kind, shaders.node(beside), shader))
        assert own_principled(shaders.material) == shader
    shaders.show(shaders.join("MixShader", shaders.node("BsdfDiffuse"), shader))
    assert own_principled(shaders.material) is None


def test_an_unknown_shader_beside_is_named() -> None:
    shaders = _Shaders()
    shaders.show(shaders.join("MixShader", shaders.node("BsdfToon"), principled(shaders.material)))
    stage(shaders.material)
    read = read_scene(bpy.context.scene)
    assert read.materials["Shader"].editable
    assert any("is not supported" in note.message and "used alone" in note.message for note in read.notes)
    np.testing.assert_allclose(read.materials["Shader"].specular_level.value, 0.5)


@pytest.mark.parametrize("name", ["two principled", "diffuse by texture", "half emission"])
def test_use_principled_takes_a_mixture_over(name: str, tmp_path: Path) -> None:
    shaders = _Shaders()
    shaders.show(SURFACES[name][0](shaders))
    stage(shaders.material)
    scene = bpy.context.scene
    before = render_cycles(scene, scene.camera, tmp_path / "a.exr", width=48, height=48, samples=16, direct_only=True)
    use_principled(scene, shaders.material.name)
    assert own_principled(shaders.material) is not None
    after = render_cycles(scene, scene.camera, tmp_path / "b.exr", width=48, height=48, samples=16, direct_only=True)
    assert np.mean((np.clip(before, 0, 1) - np.clip(after, 0, 1)) ** 2) <= 10**-4.5
