# SPDX-License-Identifier: GPL-3.0-or-later
"""What may change: switches, rows, presets, and what happens to ticks when the file lives on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import pytest

from likeness.bridge.fit_settings import read_fit_settings
from likeness.bridge.read_scene import read_scene
from likeness.engine.errors import SceneError
from likeness.engine.targets import resolve_targets
from likeness.panels.targets import LIKENESS_PT_targets
from tests.addon.drawing import draw, texts
from tests.addon.scenes import cube, library, link, material, window

pytestmark = pytest.mark.usefixtures("addon")


def targets(scene: bpy.types.Scene | None = None) -> Any:
    return (scene or bpy.context.scene).likeness.targets


def asked(scene: bpy.types.Scene | None = None) -> set[str]:
    """What the engine is asked for, in the words of the command line."""
    return {str(target) for target in read_fit_settings(scene or bpy.context.scene).targets}


def row(name: str, scene: bpy.types.Scene | None = None) -> Any:
    return next(item for item in targets(scene).rows if (item.material or item.light).name == name)


def names(scene: bpy.types.Scene | None = None) -> list[str]:
    return [(item.material or item.light).name for item in targets(scene).rows]


def test_rows_are_what_the_engine_reads() -> None:
    """Against the reader, which evaluates the scene: shared, instanced, hidden, unused slots, non-ASCII names."""
    gold = material("Göld")
    cube("Zwei", gold)
    inner = bpy.data.collections.new("Instanced")
    inner.objects.link(cube("Drin", material("内")))
    bpy.context.scene.collection.objects.unlink(bpy.data.objects["Drin"])
    instancer = bpy.data.objects.new("Instancer", None)
    instancer.instance_type, instancer.instance_collection = "COLLECTION", inner
    bpy.context.scene.collection.objects.link(instancer)
    cube("Hidden", material("Unseen")).hide_render = True
    bpy.data.objects["Cube"].data.materials.append(material("Unused Slot"))
    away = bpy.data.collections.new("Away")
    bpy.context.scene.collection.children.link(away)
    away.objects.link(cube("Excluded", material("Excluded")))
    bpy.context.scene.collection.objects.unlink(bpy.data.objects["Excluded"])
    bpy.context.view_layer.layer_collection.children["Away"].exclude = True

    targets().one_by_one = True
    read = read_scene(bpy.context.scene)
    assert set(names()) == {*read.materials, *(light.data_name for light in read.lights)}
    assert set(names()) == {"Material", "Göld", "内", "Light"}
    assert row("Göld").users == "Zwei"


def test_rows_begin_with_the_switches() -> None:
    cube("Zwei", material("Gold"))
    targets().roughness = targets().lights = targets().exposure = True
    targets().one_by_one = True
    assert asked() == {
        "base_color@Material",
        "base_color@Gold",
        "roughness@Material",
        "roughness@Gold",
        "lights@Light",
        "exposure",
    }
    resolved, warnings = resolve_targets(read_scene(bpy.context.scene), read_fit_settings(bpy.context.scene).targets)
    assert {str(target) for target in resolved} == asked()
    assert warnings == []


def test_only_one_material_of_the_switches_is_one_ticked_row() -> None:
    targets().material = material("Gold")
    cube("Zwei", targets().material)
    targets().one_by_one = True
    assert asked() == {"base_color@Gold"}


def test_a_switch_set_by_a_script_ticks_all_rows() -> None:
    cube("Zwei", material("Gold"))
    cube("Bare", material("No UV"), uv=False)
    targets().one_by_one = True
    targets().base_color = False
    assert asked() == set()
    targets().metallic = True
    assert asked() == {"metallic@Material", "metallic@Gold"}
    targets().one_by_one = False
    assert asked() == {"metallic"}


def test_the_count() -> None:
    targets().one_by_one = True
    # five kinds of the material, the light, two of the world, two of photos
    assert targets().count == "1 of 10 may change"
    row("Light").lights = True
    assert targets().count == "2 of 10 may change"


def test_ticks_outlive_renaming_and_refresh_and_new_things_are_not_ticked() -> None:
    targets().one_by_one = True
    row("Material").normal = True
    bpy.data.materials["Material"].name = "Ümbenannt"
    bpy.data.lights["Light"].name = "Lämpe"
    row("Lämpe").lights = True
    cube("Neu", material("AAA"))
    bpy.ops.likeness.targets_refresh()
    assert names() == ["AAA", "Ümbenannt", "Lämpe"]
    assert asked() == {"base_color@Ümbenannt", "normal@Ümbenannt", "lights@Lämpe"}


def test_what_is_deleted_is_no_longer_asked_for() -> None:
    cube("Zwei", material("Gold"))
    targets().one_by_one = True
    row("Light").lights = True
    bpy.data.materials.remove(bpy.data.materials["Material"])
    bpy.data.lights.remove(bpy.data.lights["Light"])
    assert asked() == {"base_color@Gold"}
    assert targets().count == "1 of 9 may change"
    bpy.ops.likeness.targets_refresh()
    assert names() == ["Gold"]


def test_undo_takes_a_tick_back() -> None:
    with window():
        targets().one_by_one = True
        bpy.ops.ed.undo_push(message="before")
        bpy.ops.likeness.targets_tick("EXEC_DEFAULT", True, kind="metallic", tick=True)
        assert asked() == {"base_color@Material", "metallic@Material"}
        bpy.ops.ed.undo()
        assert asked() == {"base_color@Material"}
        bpy.ops.ed.redo()
        assert asked() == {"base_color@Material", "metallic@Material"}


def test_each_scene_has_its_own_ticks() -> None:
    first = bpy.context.scene
    second = bpy.data.scenes.new("Zweite")
    second.collection.objects.link(bpy.data.objects["Cube"])
    targets(first).one_by_one = targets(second).one_by_one = True
    row("Material", second).base_color = False
    row("Material", second).roughness = True
    assert asked(first) == {"base_color@Material"}
    assert asked(second) == {"roughness@Material"}
    assert names(second) == ["Material"]


def test_linked_data_is_shown_and_refused_by_name(tmp_path: Path) -> None:
    file = library(tmp_path / "libräry.blend")
    cube("Zwei", link(file, "materials", "Göld"))
    lamp = bpy.data.objects.new("Lampe", link(file, "lights", "Lämpe"))
    bpy.context.scene.collection.objects.link(lamp)
    targets().one_by_one = True
    assert "linked" in row("Göld").obstacle
    assert "linked" in row("Lämpe").obstacle
    assert not row("Göld").base_color
    bpy.ops.likeness.targets_tick(kind="base_color", tick=True)
    assert asked() == {"base_color@Material"}
    row("Göld").base_color = True  # a script insists
    with pytest.raises(SceneError, match="Göld"):
        resolve_targets(read_scene(bpy.context.scene), read_fit_settings(bpy.context.scene).targets)


def test_reasons_for_what_cannot_be_fitted() -> None:
    cube("Bare", material("No UV"), uv=False)
    diffuse = material("Diffuse")
    tree = diffuse.node_tree
    node = tree.nodes.new("ShaderNodeBsdfDiffuse")
    tree.links.new(node.outputs[0], tree.get_output_node("CYCLES").inputs["Surface"])
    cube("Grey", diffuse)
    targets().one_by_one = True
    assert "Bare" in row("No UV").obstacle
    assert row("No UV").fix == "UNWRAP"
    assert "Principled" in row("Diffuse").obstacle
    assert not row("Material").obstacle


def test_ticks_are_saved_and_the_file_opens_without_the_add_on(tmp_path: Path) -> None:
    file = tmp_path / "gespeichert ü.blend"
    targets().one_by_one = True
    row("Material").normal = True
    row("Light").lights = True
    before = asked()
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    script = (
        "import bpy, sys\nbpy.ops.wm.open_mainfile(filepath=sys.argv[1])\n"
        "assert not hasattr(bpy.context.scene, 'likeness')\n"
        "bpy.data.materials['Material'].name = 'Elsewhere'\nbpy.ops.wm.save_mainfile()\nprint('fine')"
    )
    done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=False)
    assert "fine" in done.stdout, done.stderr
    bpy.ops.wm.open_mainfile(filepath=str(file))
    assert targets().one_by_one
    assert asked() == {text.replace("@Material", "@Elsewhere") for text in before}


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("PHOTO_TO_MATERIAL", {"base_color", "roughness", "normal"}),
        ("MATCH_LIGHT", {"lights", "world"}),
        (
            "EVERYTHING",
            {"base_color", "roughness", "metallic", "normal", "lights", "world", "exposure", "white_balance"},
        ),
        ("BEST_QUALITY", {"base_color", "roughness", "normal"}),
    ],
)
def test_presets(preset: str, expected: set[str]) -> None:
    targets().emission = True
    assert bpy.ops.likeness.preset(preset=preset) == {"FINISHED"}
    assert asked() == expected
    targets().one_by_one = True
    bpy.ops.likeness.preset(preset="MATCH_LIGHT")
    assert asked() == {"lights@Light", "world"}
    bpy.ops.likeness.preset(preset=preset)
    assert {text.partition("@")[0] for text in asked()} == expected


def test_cycles_checks_the_fit_for_the_best_quality_alone() -> None:
    settings = bpy.context.scene.likeness
    assert not settings.use_cycles
    bpy.ops.likeness.preset(preset="BEST_QUALITY")
    assert settings.use_cycles
    assert read_fit_settings(bpy.context.scene).cycles
    for other in ("PHOTO_TO_MATERIAL", "MATCH_LIGHT", "EVERYTHING"):
        settings.use_cycles = True
        bpy.ops.likeness.preset(preset=other)
        assert not settings.use_cycles


def test_a_preset_is_one_undo_step() -> None:
    with window():
        bpy.ops.ed.undo_push(message="before")
        bpy.ops.likeness.preset("EXEC_DEFAULT", True, preset="MATCH_LIGHT")
        assert bpy.context.scene.likeness.resolution == 256
        bpy.ops.ed.undo()
        assert asked() == {"base_color"}
        assert bpy.context.scene.likeness.resolution == 512


def test_the_panel_shows_rows_and_changes_nothing() -> None:
    cube("Bare", material("No UV"), uv=False)
    simple = texts(draw(LIKENESS_PT_targets))
    assert ("operator", "Match Light") in simple
    assert ("prop", "Only Material") not in simple
    targets().material = bpy.data.materials["No UV"]
    assert ("prop", "Only Material") in texts(draw(LIKENESS_PT_targets))
    targets().material = None
    targets().one_by_one = True
    row("No UV").expanded = True
    cube("Neu", material("Not in the list yet"))
    drawn = texts(draw(LIKENESS_PT_targets))
    assert ("label", targets().count) in drawn
    assert ("operator", "Fix") in drawn
    assert {text for what, text in drawn if what == "label"} >= {"Material", "No UV", "Light", "On Bare", "World"}
    assert names() == ["Material", "No UV", "Light"]
