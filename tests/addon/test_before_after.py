# SPDX-License-Identifier: GPL-3.0-or-later
"""Before/After: both sides are exactly what they were, whatever happens between two presses."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.open_save import open_blend, save_blend
from likeness.bridge.read_scene import read_scene
from likeness.engine.result import FitResult, FittedImage, FittedWorld
from tests.addon.apply_scene import (
    STORED,
    everything,
    finished_fit,
    full_result,
    in_window,
    shown,
)

pytestmark = pytest.mark.usefixtures("addon_with_photo")


def _toggle() -> None:
    assert bpy.ops.likeness.before_after() == {"FINISHED"}


def _material() -> bpy.types.Material:
    return bpy.data.objects["Cube"].active_material


def _roughness(material: bpy.types.Material, value: float | None = None) -> float:
    socket = material.node_tree.nodes["Principled BSDF"].inputs["Roughness"]
    if value is not None:
        socket.default_value = value
    return socket.default_value


def test_the_two_sides_are_what_was_there_before_and_after(tmp_path: Path) -> None:
    """Names included, so that a fit that begins on either side finds its materials when it is applied."""
    assert not bpy.ops.likeness.before_after.poll()
    before = shown()
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    after = shown()
    for _ in range(3):
        _toggle()
        assert shown() == before
        assert "Material after fit" in bpy.data.materials
        assert "Material before fit" not in bpy.data.materials
        _toggle()
        assert shown() == after
        assert "Material before fit" in bpy.data.materials


def test_saving_and_loading_keeps_both_sides(tmp_path: Path) -> None:
    before = shown()
    finished_fit(tmp_path / "job")
    bpy.ops.likeness.apply()
    after = shown()
    save_blend(tmp_path / "after.blend")
    open_blend(tmp_path / "after.blend")
    _toggle()
    assert shown() == before
    save_blend(tmp_path / "before.blend")
    open_blend(tmp_path / "before.blend")
    assert shown() == before
    _toggle()
    assert shown() == after


def test_each_press_is_an_undo_step(tmp_path: Path) -> None:
    with in_window():
        bpy.ops.ed.undo_push(message="start")
        states = [everything()]
        finished_fit(tmp_path)
        bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        states.append(everything())
        for operator in ("before_after", "before_after", "before_after", "before_after_clear"):
            getattr(bpy.ops.likeness, operator)("EXEC_DEFAULT", True)
            states.append(everything())
        for state in reversed(states[:-1]):
            bpy.ops.ed.undo()
            assert everything() == state
        for state in states[1:]:
            bpy.ops.ed.redo()
            assert everything() == state


def test_pictures_are_not_copied(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    count = len(bpy.data.images)
    bpy.ops.likeness.apply()
    assert len(bpy.data.images) == count + len(STORED) + 1  # and the environment; the coverage gave way
    images = {image.name for image in bpy.data.images}
    _toggle()
    assert {image.name for image in bpy.data.images} == images


def test_what_the_artist_changes_stays_on_its_side(tmp_path: Path) -> None:
    finished_fit(tmp_path, FitResult(images=[FittedImage("Material", "metallic", np.ones((2, 2, 1)), "linear", 8)]))
    bpy.data.lights["Light"].energy = 10.0
    bpy.ops.likeness.apply()
    _roughness(_material(), 0.25)
    _material().name = "Brass"
    _toggle()
    assert _roughness(_material()) == 0.5
    assert _material().name == "Brass"
    _roughness(_material(), 0.75)
    bpy.data.lights["Light"].energy = 20.0  # was not fitted: it is the same on both sides
    _toggle()
    assert _roughness(_material()) == 0.25
    assert bpy.data.lights["Light"].energy == 20.0
    _toggle()
    assert _roughness(_material()) == 0.75


def test_a_material_that_is_used_no_more_or_gone_is_passed_over(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    other = bpy.data.materials.new("Other")
    bpy.data.objects["Cube"].material_slots[0].material = other
    world = bpy.data.worlds.new("Other world")
    bpy.context.scene.world = world
    bpy.data.lights.remove(bpy.data.lights["Light"])
    bpy.context.scene.likeness.photos.clear()
    _toggle()
    assert _material() == other
    assert bpy.context.scene.world == world
    _toggle()
    bpy.data.materials.remove(bpy.data.materials["Material"])
    bpy.data.worlds.remove(bpy.data.worlds["World"])
    _toggle()
    assert _material() == other
    assert bpy.context.scene.world == world
    bpy.ops.likeness.before_after_clear()
    assert not [material for material in bpy.data.materials if "fit" in material.name]


def test_other_users_of_a_material_go_along(tmp_path: Path) -> None:
    """Another scene, an object that links the material itself, a material that is chosen in the panel."""
    material = _material()
    material.use_fake_user = True
    scene = bpy.data.scenes.new("Second")
    mesh = bpy.data.meshes.new("Square")
    mesh.from_pydata([(0, 0, 0), (1, 0, 0), (1, 1, 0)], [], [(0, 1, 2)])
    mesh.materials.append(None)
    obj = bpy.data.objects.new("Square", mesh)
    scene.collection.objects.link(obj)
    obj.material_slots[0].link = "OBJECT"
    obj.material_slots[0].material = material
    bpy.context.scene.likeness.targets.material = material
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    for _ in range(2):
        _toggle()
        shown_now = _material()
        assert obj.material_slots[0].material == shown_now
        assert bpy.context.scene.likeness.targets.material == shown_now
        assert shown_now.use_fake_user
        assert [other.use_fake_user for other in bpy.data.materials if "fit" in other.name] == [False]
    assert shown_now == material


def test_a_hidden_material_that_was_given_to_something_is_an_error(tmp_path: Path) -> None:
    """Pressing would mix up who has which."""
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    bpy.data.objects["Cube"].data.materials.append(bpy.data.materials["Material before fit"])
    before = everything()
    with pytest.raises(RuntimeError, match='Material "Material before fit" is only kept for Before/After'):
        bpy.ops.likeness.before_after()
    assert everything() == before
    bpy.ops.likeness.before_after_clear()
    assert "Material before fit" in bpy.data.materials


def test_clearing_keeps_what_is_shown_and_nothing_else(tmp_path: Path) -> None:
    before, images = shown(), {image.name for image in bpy.data.images}
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    after = shown()
    bpy.ops.likeness.before_after_clear()
    assert shown() == after
    assert [material.name for material in bpy.data.materials if "Material" in material.name] == ["Material"]
    assert not bpy.ops.likeness.before_after.poll()
    assert not bpy.ops.likeness.before_after_clear.poll()

    bpy.ops.likeness.apply()
    _toggle()
    assert shown() == after
    bpy.ops.likeness.before_after_clear()
    assert shown() == after
    assert [world.name for world in bpy.data.worlds] == ["World"]
    left = {image.name for image in bpy.data.images} - images
    assert "Material base color" in left
    assert "Material base color 2" not in left
    assert before != after


def test_apply_builds_on_what_is_shown(tmp_path: Path) -> None:
    """Applying while the side before is shown: that side is the new before, and the old result is let go."""
    before = shown()
    finished_fit(tmp_path, full_result(1))
    bpy.ops.likeness.apply()
    _toggle()
    finished_fit(tmp_path, full_result(2))
    bpy.ops.likeness.apply()
    assert bpy.data.lights["Light"].energy == 102.0
    _toggle()
    assert shown() == before
    assert sorted(m.name for m in bpy.data.materials if "Material" in m.name) == ["Material", "Material after fit"]


def test_the_reader_sees_the_side_that_is_shown(tmp_path: Path) -> None:
    """What a fit would start from."""
    start = read_scene(bpy.context.scene)
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    assert read_scene(bpy.context.scene).materials["Material"].base_color.texture is not None
    _toggle()
    again = read_scene(bpy.context.scene)
    assert list(again.materials) == list(start.materials)
    assert again.materials["Material"].base_color.texture is None
    assert again.lights[0].energy == start.lights[0].energy
    assert again.view.exposure == start.view.exposure


def test_a_scene_without_a_world(tmp_path: Path) -> None:
    bpy.context.scene.world = None
    finished_fit(tmp_path, FitResult(world=FittedWorld(2.0, np.array([0.5, 0.5, 1.0]))))
    bpy.ops.likeness.apply()
    world = bpy.context.scene.world
    assert world is not None
    _toggle()
    assert bpy.context.scene.world is None
    save_blend(tmp_path / "a.blend")
    open_blend(tmp_path / "a.blend")
    _toggle()
    assert bpy.context.scene.world.name == "World (Likeness)"


def test_a_deleted_side_of_the_world_leaves_the_other(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    bpy.data.worlds.remove(bpy.data.worlds["World before fit"])
    after = shown()["world"]
    _toggle()
    assert shown()["world"] == after


def test_a_copied_scene_cannot_break_the_other(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    after = shown()
    first = bpy.context.scene
    copy = first.copy()
    assert copy.likeness.snapshot.showing == "AFTER"
    _toggle()
    before = shown()
    with bpy.context.temp_override(scene=copy):
        bpy.ops.likeness.before_after()
    _toggle()
    _toggle()
    assert shown()["materials"] in (before["materials"], after["materials"])
    bpy.data.scenes.remove(copy)
    _toggle()
    _toggle()
    assert shown()["materials"] in (before["materials"], after["materials"])


def test_long_names_stay_apart(tmp_path: Path) -> None:
    name = "Ö" * 31
    _material().name = name
    finished_fit(tmp_path, full_result(material=name))
    bpy.ops.likeness.apply()
    _toggle()
    assert _material().name == name
    _toggle()
    assert _material().name == name
