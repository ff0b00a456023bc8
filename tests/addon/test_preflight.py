# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight check: each finding is there, its fix removes it, and the data is what the fix says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest

from likeness.bridge import preflight
from likeness.bridge.fixes import FIXES
from likeness.bridge.read_scene import read_scene
from likeness.operators.preflight import blocked
from likeness.panels.preflight import LIKENESS_PT_preflight
from tests.addon.drawing import draw
from tests.addon.scenes import cube, library, link, material, window

pytestmark = pytest.mark.usefixtures("addon")


@pytest.fixture(autouse=True)
def _one_photo(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene in which nothing but what a test does stands in the way."""
    monkeypatch.setenv("LIKENESS_PYTHON", sys.executable)
    ready(tmp_path)


def ready(folder: Path) -> None:
    (folder / "photo ä.png").write_bytes(b"")
    photo = bpy.context.scene.likeness.photos.add()
    photo.name, photo.path, photo.camera = "photo ä", str(folder / "photo ä.png"), bpy.context.scene.camera
    bpy.context.scene.render.engine = "CYCLES"


def findings() -> list[Any]:
    """What the sidebar shows after Check Again."""
    bpy.ops.likeness.preflight()
    return list(bpy.context.window_manager.likeness_preflight.findings)


def found(fix: str) -> list[str]:
    """Arguments of all findings that this fix would mend."""
    return [item.argument for item in findings() if item.fix == fix]


def fix(kind: str, severity: str, argument: str | None = None) -> None:
    """Press the button of the one finding of that kind, and see the finding go."""
    matching = [item for item in findings() if item.fix == kind and argument in (None, item.argument)]
    assert [item.severity for item in matching] == [severity]
    name = matching[0].argument
    assert matching[0].button == FIXES[kind].label
    assert bool(blocked(bpy.context)) == (severity == "error")
    assert bpy.ops.likeness.fix(kind=kind, argument=name) == {"FINISHED"}
    # the list is up to date without Check Again, and says the same after it
    assert name not in [item.argument for item in stored() if item.fix == kind]
    assert name not in found(kind)


def stored() -> list[Any]:
    return list(bpy.context.window_manager.likeness_preflight.findings)


def link_surface(shown: bpy.types.Material, kind: str) -> bpy.types.Node:
    """Let a material show another shader."""
    tree = shown.node_tree
    node = tree.nodes.new(kind)
    tree.links.new(node.outputs[0], tree.get_output_node("CYCLES").inputs["Surface"])
    return node


def uv_area(obj: bpy.types.Object) -> np.ndarray:
    """Area of each face in the UV map that is rendered, by the shoelace formula."""
    layer = next(layer for layer in obj.data.uv_layers if layer.active_render)
    areas = []
    for polygon in obj.data.polygons:
        x, y = np.array([layer.uv[index].vector for index in polygon.loop_indices]).T
        areas.append(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)
    return np.array(areas)


def test_nothing_to_say_about_a_scene_that_is_ready() -> None:
    assert findings() == []
    assert blocked(bpy.context) == ""


def test_no_camera(tmp_path: Path) -> None:
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    assert not found("ASSIGN_CAMERA")  # there is none to assign
    fix("ADD_CAMERA", "error")
    camera = bpy.context.scene.camera
    assert camera.type == "CAMERA"
    # it sees the cube: Blender's own projection of the corners lies in the picture
    bpy.context.view_layer.update()
    from bpy_extras.object_utils import world_to_camera_view

    for corner in bpy.data.objects["Cube"].data.vertices:
        x, y, depth = world_to_camera_view(bpy.context.scene, camera, corner.co)
        assert 0 < x < 1
        assert 0 < y < 1
        assert depth > 0
    fix("ASSIGN_CAMERA", "error", "photo ä")
    assert bpy.context.scene.likeness.photos[0].camera == camera


def test_a_photo_without_camera_where_no_camera_is_active() -> None:
    scene = bpy.context.scene
    scene.likeness.photos[0].camera = None
    camera, scene.camera = scene.camera, None
    fix("ASSIGN_CAMERA", "error", "photo ä")
    assert scene.likeness.photos[0].camera == camera


def test_a_camera_of_another_scene() -> None:
    scene = bpy.context.scene
    photo = scene.likeness.photos[0]
    photo.camera = bpy.data.objects.new("Elsewhere", bpy.data.cameras.new("Elsewhere"))
    fix("ASSIGN_CAMERA", "error", "photo ä")
    assert photo.camera == scene.camera


def test_a_photo_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "photo ä.png").unlink()
    (finding,) = findings()
    assert finding.severity == "error"
    assert "photo ä.png" in finding.message
    assert "photo ä.png" in blocked(bpy.context)
    (tmp_path / "photo ä.png").write_bytes(b"")
    assert blocked(bpy.context) == ""  # mended by hand, seen without Check Again


def test_no_photo_at_all() -> None:
    bpy.context.scene.likeness.photos.clear()
    (finding,) = findings()
    assert (finding.severity, finding.operator) == ("error", "likeness.photo_add")


@pytest.mark.parametrize("mode", ["OBJECT", "EDIT", "SCULPT"])
def test_no_uv_map(mode: str) -> None:
    obj = cube("Würfel", material("Göld"), uv=False)
    bpy.data.objects["Cube"].select_set(True)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode=mode)
    selected = list(bpy.context.view_layer.objects.selected)
    scenes, objects, meshes = len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.meshes)
    fix("UNWRAP", "warning", "Würfel")
    assert obj.mode == mode
    assert bpy.context.view_layer.objects.active == obj
    assert list(bpy.context.view_layer.objects.selected) == selected
    assert (len(bpy.data.scenes), len(bpy.data.objects), len(bpy.data.meshes)) == (scenes, objects, meshes)
    bpy.ops.object.mode_set(mode="OBJECT")
    areas = uv_area(obj)
    assert (areas > 1e-3).all()
    assert areas.sum() <= 1.0


def test_an_object_that_is_hidden_can_be_unwrapped() -> None:
    obj = cube("Würfel", material("Göld"), uv=False)
    obj.hide_set(True)
    fix("UNWRAP", "warning", "Würfel")
    assert obj.hide_get()
    assert (uv_area(obj) > 1e-3).all()


def test_what_is_chosen_by_name_and_has_no_uv_map_is_an_error() -> None:
    cube("Würfel", material("Göld"), uv=False)
    bpy.context.scene.likeness.targets.material = bpy.data.materials["Göld"]
    fix("UNWRAP", "error", "Würfel")


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


def _remove_lights() -> None:
    bpy.data.lights.remove(bpy.data.lights["Light"])


@pytest.mark.parametrize("world", [lambda: None, lambda: bpy.data.worlds["World"]])
def test_no_light(world: Callable[[], Any]) -> None:
    _remove_lights()
    scene = bpy.context.scene
    scene.world = world()
    if scene.world is not None:
        scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 0.0
    fix("ADD_WORLD", "error")
    read = read_scene(scene).world
    assert read.strength * read.color == pytest.approx([0.5, 0.5, 0.5])


def test_no_light_to_fit() -> None:
    _remove_lights()
    bpy.context.scene.likeness.targets.lights = True
    fix("ADD_LIGHT", "warning")
    assert [light.kind for light in read_scene(bpy.context.scene).lights] == ["AREA"]


def test_an_emission_shader_is_light() -> None:
    _remove_lights()
    bpy.context.scene.world = None
    link_surface(material("Lampe"), "ShaderNodeEmission")
    assert found("ADD_WORLD") == [""]
    cube("Lampe", bpy.data.materials["Lampe"])
    assert not found("ADD_WORLD")


def test_nothing_is_ticked() -> None:
    bpy.context.scene.likeness.targets.base_color = False
    fix("PRESET", "error")
    assert bpy.context.scene.likeness.targets.base_color


def test_edit_mode() -> None:
    bpy.context.view_layer.objects.active = bpy.data.objects["Cube"]
    bpy.ops.object.mode_set(mode="EDIT")
    fix("OBJECT_MODE", "warning")
    assert bpy.context.mode == "OBJECT"


def test_another_render_engine() -> None:
    bpy.context.scene.render.engine = "BLENDER_WORKBENCH"
    fix("CYCLES", "info")
    assert bpy.context.scene.render.engine == "CYCLES"


def test_color_management() -> None:
    view = bpy.context.scene.view_settings
    view.view_transform, view.use_curve_mapping = "False Color", True
    fix("VIEW_TRANSFORM", "error")
    fix("VIEW_EXTRAS", "warning")
    assert view.view_transform == "AgX"
    assert not view.use_curve_mapping


def test_what_is_ticked_and_not_rendered() -> None:
    scene = bpy.context.scene
    obj = cube("Zwei", material("Göld"))
    scene.likeness.targets.one_by_one = True
    bpy.data.objects.remove(obj)
    fix("UNTICK", "error", "Göld")
    bpy.ops.likeness.targets_refresh()
    assert [item.material.name for item in scene.likeness.targets.rows if item.material] == ["Material"]
    scene.likeness.targets.one_by_one = False
    scene.likeness.targets.material = bpy.data.materials["Göld"]
    fix("UNTICK", "error", "Göld")
    assert scene.likeness.targets.material is None


def test_the_engine_is_not_set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIKENESS_PYTHON", str(tmp_path / "no python"))
    (finding,) = findings()
    assert (finding.severity, finding.operator) == ("error", "likeness.preferences_open")
    assert "no python" in blocked(bpy.context)
    assert bpy.ops.likeness.preferences_open() == {"FINISHED"}


def test_a_fix_is_one_undo_step() -> None:
    with window():
        cube("Würfel", material("Göld"), uv=False)
        bpy.ops.ed.undo_push(message="before")
        bpy.ops.likeness.fix("EXEC_DEFAULT", True, kind="UNWRAP", argument="Würfel")
        assert len(bpy.data.objects["Würfel"].data.uv_layers) == 1
        bpy.ops.ed.undo()
        assert len(bpy.data.objects["Würfel"].data.uv_layers) == 0
        # the list knows, without Check Again
        assert [item.argument for item in stored() if item.fix == "UNWRAP"] == ["Würfel"]


def test_a_tick_brings_the_list_up_to_date() -> None:
    assert findings() == []
    bpy.context.scene.likeness.targets.base_color = False
    assert [item.fix for item in stored()] == ["PRESET"]
    bpy.context.scene.likeness.targets.exposure = True
    assert stored() == []


def test_findings_belong_to_one_scene_and_one_file() -> None:
    bpy.context.scene.likeness.targets.base_color = False
    assert blocked(bpy.context)
    other = bpy.data.scenes.new("Other")
    with bpy.context.temp_override(scene=other):
        assert blocked(bpy.context) == ""
    bpy.ops.wm.read_factory_settings()
    assert stored() == []
    assert blocked(bpy.context) == ""


def test_a_fix_for_what_is_gone_is_an_error_message() -> None:
    for kind in FIXES.keys() - {"ADD_CAMERA", "ADD_WORLD", "ADD_LIGHT", "CYCLES", "VIEW_TRANSFORM", "VIEW_EXTRAS"}:
        if kind in {"OBJECT_MODE", "UNTICK"}:
            continue
        with pytest.raises(RuntimeError, match="Nobody") as caught:
            bpy.ops.likeness.fix(kind=kind, argument="Nobody")
        assert "Traceback" not in str(caught.value)


def test_looking_evaluates_nothing() -> None:
    """Of an ordinary scene: 200 objects with materials of their own."""
    for number in range(200):
        cube(f"Würfel {number}", material(f"Göld {number}"), uv=bool(number % 2))
    updates: list[str] = []
    handler = lambda scene, graph: updates.append(scene.name)  # noqa: E731
    bpy.context.view_layer.update()
    bpy.app.handlers.depsgraph_update_post.append(handler)
    try:
        assert len(preflight.find(bpy.context.scene)) == 100
    finally:
        bpy.app.handlers.depsgraph_update_post.remove(handler)
    assert updates == []


def test_the_panel_shows_findings_and_buttons(tmp_path: Path) -> None:
    assert draw(LIKENESS_PT_preflight)[-1] == ("label", "This scene has not been checked yet")
    findings()
    assert draw(LIKENESS_PT_preflight)[-1] == ("label", "Nothing stands in the way")
    cube("Würfel", material("Göld"), uv=False)
    (tmp_path / "photo ä.png").unlink()
    bpy.context.scene.render.engine = "BLENDER_WORKBENCH"
    findings()
    drawn = draw(LIKENESS_PT_preflight)
    assert ("operator", "Unwrap") in drawn
    assert ("label", 'Object "Würfel"') in drawn
    assert drawn.index(("label", 'Photo "photo ä"')) < drawn.index(("label", 'Object "Würfel"'))  # the worst first
    assert ("operator", "Use Cycles") not in drawn
    bpy.context.window_manager.likeness_preflight.show_info = True
    assert ("operator", "Use Cycles") in draw(LIKENESS_PT_preflight)


def test_hidden_faces_and_shape_keys_do_not_keep_from_unwrapping() -> None:
    obj = cube("Würfel", material("Göld"), uv=False)
    obj.shape_key_add(name="Basis")
    obj.shape_key_add(name="Other").data[0].co.z += 1.0
    obj.data.polygons[0].hide = True
    fix("UNWRAP", "warning", "Würfel")
    assert (uv_area(obj) > 1e-3).all()
    assert obj.data.polygons[0].hide
    assert list(obj.data.shape_keys.key_blocks.keys()) == ["Basis", "Other"]


def test_nodes_that_will_be_baked_are_named_and_nothing_is_baked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("likeness.bridge.bake_material.bake", lambda *_arguments: pytest.fail("baked"))
    tree = bpy.data.objects["Cube"].active_material.node_tree
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    tree.links.new(tree.nodes.new("ShaderNodeTexNoise").outputs[0], shader.inputs["Roughness"])
    told = [(item.severity, item.message) for item in findings() if "baked" in item.message]
    assert told == [("info", 'node "Noise Texture" (Noise Texture) will be baked when the fit starts')]
