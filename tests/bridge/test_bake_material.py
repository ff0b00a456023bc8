# SPDX-License-Identifier: GPL-3.0-or-later
"""Materials of nodes that are not computed here: what Cycles bakes of them, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.bake_material import bake_size
from likeness.bridge.check import check
from likeness.bridge.read_image import encode_srgb
from likeness.bridge.read_scene import read_scene
from tests.bridge.probe import new_material
from tests.bridge.sphere import noise, principled, psnr, stage
from tests.scenes.cycles import render_cycles

pytestmark = pytest.mark.usefixtures("empty_file")


def _state() -> dict[str, object]:
    """Everything of a file that a bake could leave behind."""
    context = bpy.context
    kinds = [kind for kind in dir(bpy.data) if isinstance(getattr(bpy.data, kind), bpy.types.bpy_prop_collection)]
    state: dict[str, object] = {
        kind: [(item.name, item.users) for item in getattr(bpy.data, kind) if hasattr(item, "users")] for kind in kinds
    }
    state |= {
        "selected": [obj.name for obj in context.view_layer.objects if obj.select_get()],
        "active": context.view_layer.objects.active.name,
        "mode": context.mode,
        "scene": context.scene.name,
        "engine": context.scene.render.engine,
        "frame": context.scene.frame_current,
        "slots": [[slot.material.name for slot in obj.material_slots] for obj in bpy.data.objects],
        "links": [
            (item.name, [n.name for n in item.node_tree.nodes], len(item.node_tree.links))
            for item in [*bpy.data.materials]
            if item.node_tree
        ],
        "bake": {
            p.identifier: str(getattr(context.scene.render.bake, p.identifier))
            for p in context.scene.render.bake.bl_rna.properties
            if p.type != "POINTER"
        },
    }
    return state


@pytest.mark.parametrize("shape", ["plane", "sphere"])
def test_a_procedural_material_renders_as_in_cycles(shape: str, tmp_path: Path) -> None:
    material = new_material("Prozedural")
    shader, bumps, links = principled(material), noise(material), material.node_tree.links
    links.new(bumps.outputs["Color"], shader.inputs["Base Color"])
    ramp = material.node_tree.nodes.new("ShaderNodeMapRange")
    ramp.inputs["To Min"].default_value, ramp.inputs["To Max"].default_value = 0.4, 0.8
    links.new(bumps.outputs[0], ramp.inputs["Value"])
    links.new(ramp.outputs[0], shader.inputs["Roughness"])
    stage(material, shape)
    decibels, read = psnr(tmp_path)
    assert decibels >= 45
    told = [note.message for note in read.notes if note.datablock == 'Material "Prozedural"']
    assert len(told) == 2
    assert all(message.endswith("512 x 512") for message in told)
    assert "Base Color: baked from" in told[0]


def test_bump_becomes_a_normal_map(tmp_path: Path) -> None:
    material = new_material("Beule")
    shader, links = principled(material), material.node_tree.links
    bump = material.node_tree.nodes.new("ShaderNodeBump")
    bump.inputs["Distance"].default_value = 0.6
    links.new(noise(material, 2.0).outputs[0], bump.inputs["Height"])
    links.new(bump.outputs[0], shader.inputs["Normal"])
    shader.inputs["Roughness"].default_value = 0.7
    stage(material)
    decibels, read = psnr(tmp_path)
    assert read.materials["Beule"].normal is not None
    assert decibels >= 45


def test_vertex_colours_a_second_slot_and_a_modifier(tmp_path: Path) -> None:
    material = new_material("Bemalt")
    tree = material.node_tree
    attribute = tree.nodes.new("ShaderNodeAttribute")
    attribute.attribute_name = "Farbe"
    tree.links.new(attribute.outputs["Color"], principled(material).inputs["Base Color"])
    obj = stage(material)
    colours = obj.data.color_attributes.new("Farbe", "FLOAT_COLOR", "POINT")
    colours.data.foreach_set("color", np.random.default_rng(1).random(len(obj.data.vertices) * 4).astype(np.float32))
    obj.data.materials.append(new_material("Zweites"))
    obj.data.polygons[0].material_index = 1
    obj.modifiers.new("Fein", "SUBSURF").subdivision_type = "SIMPLE"
    decibels, _ = psnr(tmp_path)
    assert decibels >= 45


def test_a_principled_in_a_group_is_baked(tmp_path: Path) -> None:
    material = new_material("Gruppiert")
    tree = material.node_tree
    group = bpy.data.node_groups.new("Stoff", "ShaderNodeTree")
    group.interface.new_socket("Color", in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("BSDF", in_out="OUTPUT", socket_type="NodeSocketShader")
    start, shader, end = (
        group.nodes.new(kind) for kind in ("NodeGroupInput", "ShaderNodeBsdfPrincipled", "NodeGroupOutput")
    )
    shader.inputs["Roughness"].default_value = 0.6
    group.links.new(start.outputs[0], shader.inputs["Base Color"])
    group.links.new(shader.outputs[0], end.inputs[0])
    node = tree.nodes.new("ShaderNodeGroup")
    node.node_tree = group
    tree.links.new(noise(material).outputs["Color"], node.inputs[0])
    tree.links.new(node.outputs[0], tree.get_output_node("CYCLES").inputs["Surface"])
    stage(material)
    decibels, _ = psnr(tmp_path)
    assert decibels >= 45


@pytest.mark.parametrize("move", [-3.0, 0.5])
def test_a_uv_map_beside_the_unit_square(move: float, tmp_path: Path) -> None:
    material = new_material("Kachel")
    material.node_tree.links.new(noise(material).outputs["Color"], principled(material).inputs["Base Color"])
    obj = stage(material)
    layer = obj.data.uv_layers[0].uv
    uv = np.empty(2 * len(layer), np.float32)
    layer.foreach_get("vector", uv)
    layer.foreach_set("vector", uv + move)  # the grid's faces fill quarters
    decibels, read = psnr(tmp_path)
    assert any("leaves the unit square" in note.message for note in read.notes)
    assert decibels >= (45 if move == int(move) else 38)  # the seam in the midst of the grid


def test_values_above_one_and_what_depends_on_the_view() -> None:
    material = new_material("Leuchtend")
    tree, shader = material.node_tree, principled(material)
    position = tree.nodes.new("ShaderNodeTexCoord")
    bright = tree.nodes.new("ShaderNodeVectorMath")
    bright.operation = "SCALE"
    bright.inputs["Scale"].default_value = 10.0
    tree.links.new(position.outputs["UV"], bright.inputs[0])
    tree.links.new(bright.outputs[0], shader.inputs["Emission Color"])
    path, weight = tree.nodes.new("ShaderNodeLightPath"), tree.nodes.new("ShaderNodeLayerWeight")
    tree.links.new(path.outputs["Is Camera Ray"], shader.inputs["Metallic"])
    tree.links.new(weight.outputs["Facing"], shader.inputs["Roughness"])
    stage(material)
    read = read_scene(bpy.context.scene, bake=64)
    found = read.materials["Leuchtend"]
    emission = read.images[found.emission_color.texture.image].pixels
    places = (np.arange(64) + 0.5) / 64 * 10
    np.testing.assert_allclose(emission[..., 0], np.broadcast_to(places, (64, 64)), atol=1e-3)
    np.testing.assert_allclose(emission[..., 1], np.broadcast_to(places[:, None], (64, 64)), atol=1e-3)
    np.testing.assert_allclose(read.images[found.metallic.texture.image].pixels[..., 0], 1, atol=1e-5)
    np.testing.assert_allclose(read.images[found.roughness.texture.image].pixels[..., 0], 0, atol=1e-3)
    told = " ".join(note.message for note in read.notes)
    assert "Light Path is taken as for a camera that looks straight" in told
    assert "Layer Weight is taken as for a camera that looks straight" in told


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT"])
def test_nothing_of_the_file_changes(mode: str) -> None:
    material = new_material("Prozedural")
    tree, shader = material.node_tree, principled(material)
    tree.links.new(noise(material).outputs["Color"], shader.inputs["Base Color"])
    bpy.context.scene.render.engine = "CYCLES"
    obj = stage(material)
    other = bpy.data.objects.new("Another", obj.data)
    other.location.x = 3
    bpy.context.scene.collection.objects.link(other)
    other.select_set(True)
    bpy.context.scene.frame_set(7)
    if mode == "EDIT":
        bpy.context.view_layer.objects.active = obj
        bpy.ops.object.mode_set(mode="EDIT")
    before = _state()
    read = read_scene(bpy.context.scene, bake=32)
    texture = read.materials["Prozedural"].base_color.texture
    assert texture is not None
    assert np.ptp(read.images[texture.image].pixels[..., 0]) > 0.1
    assert _state() == before
    # two objects with Generated coordinates of their own share one texture
    assert any('"Grid" and "Another" share it' in note.message for note in read.notes)


def test_an_error_while_baking_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    from likeness.bridge import bake_material

    def fail(*_arguments: object) -> None:
        raise RuntimeError("Blender is rendering")

    material = new_material("Prozedural")
    material.node_tree.links.new(noise(material).outputs[0], principled(material).inputs["Roughness"])
    stage(material)
    before = _state()
    monkeypatch.setattr(bake_material._Stage, "_run", fail)
    read = read_scene(bpy.context.scene, bake=32)
    assert _state() == before
    assert read.materials["Prozedural"].roughness.texture is None
    assert any("Blender could not (Blender is rendering)" in note.message for note in read.notes)


def test_check_bakes_nothing_and_says_what_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    from likeness.bridge import bake_material

    monkeypatch.setattr(bake_material, "bake", lambda *arguments: pytest.fail("check has baked"))
    material = new_material("Prozedural")
    material.node_tree.links.new(noise(material).outputs[0], principled(material).inputs["Roughness"])
    stage(material)
    told = [note.message for note in check(bpy.context.scene) if note.datablock == 'Material "Prozedural"']
    assert len(told) == 1
    assert told[0].startswith('Roughness: node "Noise Texture"')
    assert told[0].endswith("will be baked to a texture")


def test_without_uv_map_the_object_is_named() -> None:
    material = new_material("Prozedural")
    material.node_tree.links.new(noise(material).outputs[0], principled(material).inputs["Roughness"])
    obj = stage(material)
    obj.data.uv_layers.remove(obj.data.uv_layers[0])
    read = read_scene(bpy.context.scene, bake=32)
    told = [note.message for note in read.notes if note.datablock == 'Material "Prozedural"']
    assert len(told) == 1
    assert 'object "Grid" has no UV map. Unwrap it' in told[0]


def test_many_bakes_are_made_smaller() -> None:
    assert bake_size(1024, 8) == 1024
    assert bake_size(8192, 1) == 4096
    assert bake_size(2048, 100) == 512


def test_a_fit_starts_from_the_baked_texture_and_replaces_the_nodes(tmp_path: Path) -> None:
    import likeness

    material = new_material("Prozedural")
    shader, links = principled(material), material.node_tree.links
    links.new(noise(material).outputs["Color"], shader.inputs["Base Color"])
    stage(material)
    scene = bpy.context.scene
    photo = tmp_path / "photo.exr"
    render_cycles(scene, scene.camera, photo, width=48, height=48, samples=16, direct_only=True)
    done = likeness.fit(
        scene, {"Camera": photo}, ["base_color"], iterations=8, resolution=48, texture_size=64, device="cpu"
    )
    shown = [pixels for image in done.result.images for pixels in [image.pixels]]
    assert len(shown) == 1
    start = read_scene(scene, bake=64)
    texture = start.materials["Prozedural"].base_color.texture
    baked = encode_srgb(start.images[texture.image].pixels[..., :3])
    # the photo is the start: nothing to do
    assert np.abs(shown[0][4:-4, 4:-4] - baked[4:-4, 4:-4]).mean() < 0.05
    done.apply()
    assert shader.inputs["Base Color"].links[0].from_node.bl_idname == "ShaderNodeTexImage"
    assert any("was baked); the node is still there" in line for line in done.written)
    assert "Noise Texture" in material.node_tree.nodes
