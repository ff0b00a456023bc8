# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixes of materials, and of data that is shared or linked from another file."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from likeness.bridge.read_scene import read_scene
from tests.addon.checking import fix, found, link_surface, ready
from tests.addon.scenes import cube, library, link, material

pytestmark = pytest.mark.usefixtures("ready_scene")


def test_no_material() -> None:
    obj = cube("Würfel", None)
    fix("ADD_MATERIAL", "warning", "Würfel")
    assert read_scene(bpy.context.scene).materials[obj.active_material.name].editable


def test_an_empty_slot() -> None:
    obj = cube("Würfel", material("Göld"))
    obj.data.materials.append(None)
    assert not found("ADD_MATERIAL")  # no face uses it
    obj.data.polygons[0].material_index = 1
    fix("ADD_MATERIAL", "warning", "Würfel")
    assert [slot.material.name for slot in obj.material_slots] == ["Göld", "Würfel"]


def test_a_shader_that_is_not_principled_keeps_its_colour() -> None:
    shown = bpy.data.materials["Material"]
    node = link_surface(shown, "ShaderNodeBsdfDiffuse")
    node.inputs["Color"].default_value = (0.1, 0.2, 0.3, 1.0)
    before = read_scene(bpy.context.scene).materials["Material"]
    assert not before.editable
    fix("PRINCIPLED", "error", "Material")
    after = read_scene(bpy.context.scene).materials["Material"]
    assert after.editable
    assert after.base_color.value == pytest.approx(before.base_color.value)


def test_a_shader_keeps_its_texture() -> None:
    shown = bpy.data.materials["Material"]
    node = link_surface(shown, "ShaderNodeBsdfDiffuse")
    texture = shown.node_tree.nodes.new("ShaderNodeTexImage")
    texture.image = bpy.data.images.new("Bild", 4, 4)
    shown.node_tree.links.new(texture.outputs["Color"], node.inputs["Color"])
    fix("PRINCIPLED", "error", "Material")
    read = read_scene(bpy.context.scene).materials["Material"]
    assert read.base_color.texture is not None
    assert read.base_color.texture.image == "Bild"


def test_a_material_without_shader_gets_its_viewport_colour() -> None:
    shown = bpy.data.materials["Material"]
    shown.node_tree.nodes.clear()
    shown.diffuse_color = (0.5, 0.25, 0.125, 1.0)
    fix("PRINCIPLED", "error", "Material")
    read = read_scene(bpy.context.scene).materials["Material"]
    assert read.editable
    assert read.base_color.value == pytest.approx([0.5, 0.25, 0.125])


def test_objects_that_share_a_material() -> None:
    obj = cube("Zwei", bpy.data.materials["Material"])
    fix("SINGLE_USER_MATERIAL", "info", "Material")
    shown = {obj.active_material, bpy.data.objects["Cube"].active_material}
    assert len(shown) == 2
    assert bpy.data.materials["Material"] in shown


def test_a_copy_of_a_material_has_the_ticks_of_its_original() -> None:
    bpy.context.scene.likeness.targets.one_by_one = True
    obj = cube("Zwei", bpy.data.materials["Material"])
    fix("SINGLE_USER_MATERIAL", "info", "Material")
    ticked = [item.material for item in bpy.context.scene.likeness.targets.rows if item.base_color]
    assert set(ticked) == {bpy.data.objects["Cube"].active_material, obj.active_material}
    assert len(ticked) == 2


def test_objects_that_share_a_mesh() -> None:
    obj = bpy.data.objects["Cube"].copy()
    bpy.context.scene.collection.objects.link(obj)
    fix("SINGLE_USER_MESH", "info", "Cube")
    assert obj.data != bpy.data.objects["Cube"].data
    assert obj.active_material != bpy.data.objects["Cube"].active_material
    assert not found("SINGLE_USER_MATERIAL")


def test_a_linked_material(tmp_path: Path) -> None:
    file = library(tmp_path / "libräry.blend")
    ready(tmp_path)
    obj = cube("Zwei", link(file, "materials", "Göld"))
    fix("LOCAL_MATERIAL", "warning")
    assert obj.active_material.library is None
    assert obj.active_material.name == "Göld"
    assert read_scene(bpy.context.scene).materials["Göld"].editable


def test_a_linked_object(tmp_path: Path) -> None:
    file = library(tmp_path / "libräry.blend")
    ready(tmp_path)
    bpy.context.scene.collection.objects.link(link(file, "objects", "Würfel"))
    fix("LOCAL_MATERIAL", "warning")
    obj = bpy.context.scene.objects["Würfel"]
    assert (obj.library, obj.data.library, obj.active_material.library) == (None, None, None)


def test_a_linked_collection_stays_as_it_is(tmp_path: Path) -> None:
    file = library(tmp_path / "libräry.blend")
    ready(tmp_path)
    instancer = bpy.data.objects.new("Instancer", None)
    instancer.instance_type, instancer.instance_collection = "COLLECTION", link(file, "collections", "Teile")
    bpy.context.scene.collection.objects.link(instancer)
    (name,) = found("LOCAL_MATERIAL")
    with pytest.raises(RuntimeError, match=r"Würfel.*linked") as caught:
        bpy.ops.likeness.fix(kind="LOCAL_MATERIAL", argument=name)
    assert "Traceback" not in str(caught.value)
    assert all(item.library is not None for item in (link(file, "objects", "Würfel"), link(file, "meshes", "Netz")))
    assert next(item for item in bpy.data.materials if item.name == "Göld").library is not None


@pytest.mark.parametrize("kind", ["UNWRAP", "PRINCIPLED", "ADD_MATERIAL", "SINGLE_USER_MATERIAL"])
def test_fixes_refuse_linked_data_by_name(tmp_path: Path, kind: str) -> None:
    file = library(tmp_path / "libräry.blend")
    for name in ("Würfel", "Würfel"):
        obj = link(file, "objects", name)
    bpy.context.scene.collection.objects.link(obj)
    cube("Zwei", obj.active_material)
    argument = obj.active_material.name_full if kind in {"PRINCIPLED", "SINGLE_USER_MATERIAL"} else obj.name_full
    with pytest.raises(RuntimeError, match=r"(Würfel|Göld).*(linked|all faces)"):
        bpy.ops.likeness.fix(kind=kind, argument=argument)


def test_linked_light_and_world(tmp_path: Path) -> None:
    file = library(tmp_path / "libräry.blend")
    ready(tmp_path)
    scene = bpy.context.scene
    scene.objects["Light"].data = link(file, "lights", "Lämpe")
    scene.world = link(file, "worlds", "Wält")
    bpy.ops.likeness.preset(preset="MATCH_LIGHT")
    fix("LOCAL_LIGHT", "error")
    fix("LOCAL_WORLD", "error")
    assert scene.objects["Light"].data.library is None
    assert scene.world.library is None
