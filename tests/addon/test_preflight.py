# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight check: each finding is there, its fix removes it, and the data is what the fix says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy
import pytest

from likeness.bridge import preflight
from likeness.bridge.fixes import FIXES
from likeness.bridge.read_scene import read_scene
from likeness.operators.preflight import blocked
from likeness.panels.preflight import LIKENESS_PT_preflight
from tests.addon.checking import findings, fix, found, link_surface, stored, uv_area
from tests.addon.drawing import draw, texts
from tests.addon.scenes import cube, material, window

pytestmark = pytest.mark.usefixtures("ready_scene")


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
    assert texts(draw(LIKENESS_PT_preflight))[-1] == ("label", "This scene has not been checked yet")
    findings()
    assert texts(draw(LIKENESS_PT_preflight))[-1] == ("label", "Nothing stands in the way")
    cube("Würfel", material("Göld"), uv=False)
    (tmp_path / "photo ä.png").unlink()
    bpy.context.scene.render.engine = "BLENDER_WORKBENCH"
    findings()
    drawn = texts(draw(LIKENESS_PT_preflight))
    assert ("operator", "Unwrap") in drawn
    assert ("label", 'Object "Würfel"') in drawn
    assert drawn.index(("label", 'Photo "photo ä"')) < drawn.index(("label", 'Object "Würfel"'))  # the worst first
    assert ("operator", "Use Cycles") not in drawn
    bpy.context.window_manager.likeness_preflight.show_info = True
    assert ("operator", "Use Cycles") in texts(draw(LIKENESS_PT_preflight))


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
