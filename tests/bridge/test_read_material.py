# SPDX-License-Identifier: GPL-3.0-or-later
"""Material node trees: what is read, and that nothing else is dropped without a word."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from likeness.bridge import versions
from likeness.bridge.notes import Notes
from likeness.bridge.read_image import ImageReader
from likeness.bridge.read_material import NO_MATERIAL, MaterialReader
from likeness.engine.scene import Material, Note
from tests.bridge.probe import new_material

pytestmark = pytest.mark.usefixtures("empty_file")


def _read(material: bpy.types.Material | None) -> tuple[Material, list[Note]]:
    notes = Notes()
    reader = MaterialReader(ImageReader(notes), notes)
    key = reader.key(material, 'Object "Vase"')
    reader.finish([], bpy.context.evaluated_depsgraph_get(), None)
    return reader.materials[key], notes.as_list()


def _principled(material: bpy.types.Material) -> bpy.types.Node:
    return next(node for node in material.node_tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")


def _image(name: str) -> bpy.types.Image:
    return bpy.data.images.new(name, 2, 2)


def test_a_new_material_has_the_values_of_its_node_and_no_notes() -> None:
    material = new_material("Neu")
    node = _principled(material)
    node.inputs["Base Color"].default_value = (0.1, 0.2, 0.3, 1)
    node.inputs["Metallic"].default_value = 0.25
    node.inputs["Roughness"].default_value = 0.75
    node.inputs["IOR"].default_value = 1.33
    node.inputs["Specular IOR Level"].default_value = 0.4
    node.inputs["Specular Tint"].default_value = (0.9, 0.8, 0.7, 1)
    node.inputs["Emission Color"].default_value = (0.5, 0.6, 0.7, 1)
    node.inputs["Emission Strength"].default_value = 2
    node.distribution = "GGX"
    read, notes = _read(material)
    values = {
        "base_color": (0.1, 0.2, 0.3),
        "metallic": (0.25,),
        "roughness": (0.75,),
        "ior": (1.33,),
        "specular_level": (0.4,),
        "specular_tint": (0.9, 0.8, 0.7),
        "emission_color": (0.5, 0.6, 0.7),
        "emission_strength": (2.0,),
    }
    for field, value in values.items():
        np.testing.assert_allclose(getattr(read, field).value, value, rtol=1e-6, err_msg=field)
        assert getattr(read, field).texture is None
    assert not read.multiscatter
    assert read.editable
    assert notes == []


def test_textures_in_packed_channels_and_a_normal_map() -> None:
    material = new_material("Getextured")
    tree, shader = material.node_tree, _principled(material)
    packed = tree.nodes.new("ShaderNodeTexImage")
    packed.image = _image("ORM")
    packed.image.colorspace_settings.name = "Non-Color"
    separate = tree.nodes.new("ShaderNodeSeparateColor")
    tree.links.new(packed.outputs["Color"], separate.inputs[0])
    tree.links.new(separate.outputs["Green"], shader.inputs["Roughness"])
    tree.links.new(separate.outputs["Blue"], shader.inputs["Metallic"])
    normal_image = tree.nodes.new("ShaderNodeTexImage")
    normal_image.image = _image("Normalen")
    normal_map, bump = tree.nodes.new("ShaderNodeNormalMap"), tree.nodes.new("ShaderNodeBump")
    normal_map.inputs["Strength"].default_value = 0.7
    tree.links.new(normal_image.outputs["Color"], normal_map.inputs["Color"])
    tree.links.new(normal_map.outputs["Normal"], bump.inputs["Normal"])
    tree.links.new(bump.outputs["Normal"], shader.inputs["Normal"])
    read, notes = _read(material)
    assert (read.roughness.texture.image, read.roughness.texture.channel) == ("ORM", 1)
    assert (read.metallic.texture.image, read.metallic.texture.channel) == ("ORM", 2)
    assert read.normal.texture.image == "Normalen"
    assert read.normal.strength == pytest.approx(0.7)
    assert notes == []
    # a height that varies cannot be read as an image
    tree.links.new(normal_image.outputs["Color"], bump.inputs["Height"])
    read, notes = _read(material)
    assert read.normal is None
    assert [(note.severity, "will be baked" in note.message) for note in notes] == [("approximated", True)]


@pytest.mark.parametrize(
    ("socket", "value"),
    [
        ("Subsurface Weight", 0.3),
        ("Transmission Weight", 1.0),
        ("Thin Film Thickness", 300.0),
    ],
)
def test_sockets_outside_the_model_are_named(socket: str, value: float) -> None:
    material = new_material("Seltsam")
    if socket not in _principled(material).inputs:
        pytest.skip(f"this Blender has no {socket}")
    _principled(material).inputs[socket].default_value = value
    _, notes = _read(material)
    assert [(note.severity, note.datablock) for note in notes] == [("approximated", 'Material "Seltsam"')]
    assert notes[0].message.startswith(socket.removesuffix(" Weight"))


def test_coat_and_sheen() -> None:
    material = new_material("Lackiert")
    inputs = _principled(material).inputs
    for name, value in (("Coat Weight", 0.6), ("Coat Roughness", 0.2), ("Coat IOR", 1.7), ("Sheen Weight", 0.4)):
        inputs[name].default_value = value
    inputs["Coat Tint"].default_value = (0.9, 0.5, 0.3, 1)
    inputs["Sheen Roughness"].default_value = 0.3
    inputs["Sheen Tint"].default_value = (0.2, 0.4, 0.6, 1)
    read, notes = _read(material)
    found = np.concatenate([s.value for s in (read.coat_weight, read.coat_roughness, read.coat_ior, read.coat_tint)])
    np.testing.assert_allclose(found, [0.6, 0.2, 1.7, 0.9, 0.5, 0.3], rtol=1e-6)
    found = np.concatenate([s.value for s in (read.sheen_weight, read.sheen_roughness, read.sheen_tint)])
    np.testing.assert_allclose(found, [0.4, 0.3, 0.2, 0.4, 0.6], rtol=1e-6)
    assert [note.message.split(":")[0] for note in notes] == ([] if versions.COAT_IS_CURRENT else ["Coat"])


def test_anisotropy_and_what_its_grain_follows() -> None:
    material = new_material("Gebürstet")
    tree, shader = material.node_tree, _principled(material)
    shader.inputs["Anisotropic"].default_value = 0.6
    shader.inputs["Anisotropic Rotation"].default_value = 0.2
    read, notes = _read(material)
    assert (read.anisotropic, read.anisotropic_rotation) == pytest.approx((0.6, 0.2))
    assert (read.tangent, notes) == ("RADIAL_Z", [])
    node = tree.nodes.new("ShaderNodeTangent")
    tree.links.new(node.outputs[0], shader.inputs["Tangent"])
    node.direction_type, node.axis = "RADIAL", "X"
    read, notes = _read(material)
    assert (read.tangent, notes) == ("RADIAL_X", [])
    node.direction_type, node.uv_map = "UV_MAP", "Zweite"
    read, notes = _read(material)
    assert (read.tangent, read.tangent_uv, notes) == ("UV", "Zweite", [])
    tree.links.new(tree.nodes.new("ShaderNodeTexNoise").outputs["Color"], shader.inputs["Tangent"])
    read, notes = _read(material)
    assert read.tangent == "RADIAL_Z"
    assert [(note.severity, note.message.split(":")[0]) for note in notes] == [("approximated", "Tangent")]


def test_layers_of_weight_zero_are_not_spoken_of() -> None:
    material = new_material("Ohne")
    tree, shader = material.node_tree, _principled(material)
    tree.links.new(tree.nodes.new("ShaderNodeTexNoise").outputs[0], shader.inputs["Coat Roughness"])
    read, notes = _read(material)
    assert read.coat_weight.value == 0.0
    assert notes == []


def test_textures_of_layers_and_the_normals_of_the_coat() -> None:
    material = new_material("Gefleckt")
    tree, shader = material.node_tree, _principled(material)
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = _image("Flecken")
    tree.links.new(texture.outputs["Color"], shader.inputs["Sheen Weight"])
    node = tree.nodes.new("ShaderNodeNormalMap")
    node.inputs["Strength"].default_value = 0.7
    tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    tree.links.new(node.outputs["Normal"], shader.inputs["Coat Normal"])
    shader.inputs["Coat Weight"].default_value = 1.0
    read, notes = _read(material)
    assert read.sheen_weight.texture.image == read.coat_normal.texture.image == "Flecken"
    assert (read.coat_normal.strength, read.normal) == (pytest.approx(0.7), None)
    assert {note.message.split(":")[0] for note in notes} - {"Coat"} == set()


def test_a_texture_of_anisotropy_becomes_its_mean() -> None:
    material = new_material("Gefleckt")
    tree, shader = material.node_tree, _principled(material)
    image = _image("Flecken")
    image.colorspace_settings.name = "sRGB"
    encoded = (0.0, 0.25, 0.5, 1.0)
    image.pixels.foreach_set(np.array([(e, e, e, 1.0) for e in encoded], np.float32).ravel())
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    tree.links.new(texture.outputs["Color"], shader.inputs["Anisotropic"])
    read, notes = _read(material)
    decoded = [((e + 0.055) / 1.055) ** 2.4 if e > 0.04045 else e / 12.92 for e in encoded]
    assert read.anisotropic == pytest.approx(np.mean(decoded), abs=2e-3)  # stored in 8 bits
    assert [(note.severity, note.message.split(":")[0]) for note in notes] == [("approximated", "Anisotropic")]


def test_what_has_to_be_baked_is_named_and_the_default_value_stands_for_it() -> None:
    material = new_material("Prozedural")
    shader = _principled(material)
    shader.inputs["Roughness"].default_value = 0.31
    node = material.node_tree.nodes.new("ShaderNodeTexNoise")
    node.name = "Störung"
    material.node_tree.links.new(node.outputs[0], shader.inputs["Roughness"])
    read, notes = _read(material)
    assert read.roughness.value[0] == pytest.approx(0.31)
    assert len(notes) == 1
    assert "Störung" in notes[0].message
    assert "will be baked" in notes[0].message


def test_muted_nodes_and_values_through_groups() -> None:
    material = new_material("Gruppe")
    tree, shader = material.node_tree, _principled(material)
    group = bpy.data.node_groups.new("Through", "ShaderNodeTree")
    group.interface.new_socket("In", in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("Out", in_out="OUTPUT", socket_type="NodeSocketColor")
    start, end = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    invert = group.nodes.new("ShaderNodeInvert")
    invert.mute = True
    group.links.new(start.outputs[0], invert.inputs["Color"])
    group.links.new(invert.outputs[0], end.inputs[0])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    node.inputs[0].default_value = (0.2, 0.4, 0.6, 1)
    tree.links.new(node.outputs[0], shader.inputs["Base Color"])
    read, notes = _read(material)
    np.testing.assert_allclose(read.base_color.value, (0.2, 0.4, 0.6), rtol=1e-6)
    # a colour on a scalar input: Rec.709 luminance
    tree.links.new(node.outputs[0], shader.inputs["Roughness"])
    read, notes = _read(material)
    assert read.roughness.value[0] == pytest.approx(0.2126 * 0.2 + 0.7152 * 0.4 + 0.0722 * 0.6, abs=1e-6)
    assert notes == []


def test_other_shaders_and_missing_ones() -> None:
    material = new_material("Diffus")
    tree = material.node_tree
    output = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeOutputMaterial")
    diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
    diffuse.inputs["Color"].default_value = (0.3, 0.2, 0.1, 1)
    tree.links.new(diffuse.outputs[0], output.inputs["Surface"])
    read, notes = _read(material)
    np.testing.assert_allclose(read.base_color.value, (0.3, 0.2, 0.1), rtol=1e-6)
    assert read.specular_level.value[0] == 0
    assert [note.severity for note in notes] == ["supported"]

    emission = tree.nodes.new("ShaderNodeEmission")
    emission.inputs["Strength"].default_value = 3
    tree.links.new(emission.outputs[0], output.inputs["Surface"])
    read, _ = _read(material)
    assert (read.emission_strength.value[0], read.base_color.value.max()) == (3, 0)

    mix = tree.nodes.new("ShaderNodeMixShader")
    tree.links.new(_principled(material).outputs[0], mix.inputs[2])
    tree.links.new(mix.outputs[0], output.inputs["Surface"])
    read, notes = _read(material)
    assert read.specular_level.value[0] == pytest.approx(0.5)
    assert [note.severity for note in notes] == ["approximated"]

    glass = tree.nodes.new("ShaderNodeBsdfGlass")
    tree.links.new(glass.outputs[0], output.inputs["Surface"])
    read, notes = _read(material)
    assert not read.editable
    assert [note.severity for note in notes] == ["approximated"]

    read, notes = _read(None)
    assert read.name == NO_MATERIAL
    assert notes[0].datablock == 'Object "Vase"'


@pytest.mark.skipif(versions.EMBEDDED_NODES_ONLY, reason="materials without nodes are gone in 5.0")
def test_a_material_without_nodes_is_its_viewport_colour() -> None:
    material = bpy.data.materials.new("Ohne Knoten")
    material.diffuse_color = (0.4, 0.3, 0.2, 1)
    read, notes = _read(material)
    np.testing.assert_allclose(read.base_color.value, (0.4, 0.3, 0.2), rtol=1e-6)
    assert not read.editable
    assert len(notes) == 1
