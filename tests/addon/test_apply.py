# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply: one undo step for everything, clear names, no pile-up, and named errors that change nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.open_save import open_blend, save_blend
from likeness.bridge.versions import enable_nodes
from likeness.engine.result import FitResult, FittedImage, FittedLight, FittedWorld
from tests.addon.apply_scene import (
    SIDE,
    STORED,
    everything,
    finished_fit,
    full_result,
    in_window,
    pixels,
    shown,
)

pytestmark = pytest.mark.usefixtures("addon_with_photo")


def _names(word: str) -> list[str]:
    return sorted(image.name for image in bpy.data.images if word in image.name)


def test_one_undo_takes_everything_back_and_redo_brings_it_again(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    with in_window():
        bpy.ops.ed.undo_push(message="before")
        before = everything()
        assert bpy.ops.likeness.apply("EXEC_DEFAULT", True) == {"FINISHED"}
        after = everything()
        for part in ("materials", "world", "lights", "exposure", "photos"):
            assert before["shown"][part] != after["shown"][part], part
        bpy.ops.ed.undo()
        assert everything() == before
        bpy.ops.ed.redo()
        assert everything() == after
        bpy.ops.ed.undo()
        assert everything() == before


def test_undo_takes_the_image_before_the_artists_nodes_back(tmp_path: Path) -> None:
    material = bpy.data.materials["Material"]
    enable_nodes(material)
    tree = material.node_tree
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    texture, gamma = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeGamma")
    texture.image = bpy.data.images.new("Own", SIDE, SIDE)
    gamma.inputs["Gamma"].default_value = 1.5
    tree.links.new(texture.outputs["Color"], gamma.inputs["Color"])
    tree.links.new(gamma.outputs["Color"], shader.inputs["Base Color"])
    name = texture.name
    finished_fit(tmp_path)
    with in_window():
        bpy.ops.ed.undo_push(message="before")
        before = everything()
        assert bpy.ops.likeness.apply("EXEC_DEFAULT", True) == {"FINISHED"}
        after = bpy.data.materials["Material"].node_tree.nodes[name]
        assert after.image.name == "Material base color"
        assert after.outputs["Color"].links[0].to_node.bl_idname == "ShaderNodeGamma"
        bpy.ops.ed.undo()
        assert everything() == before
        assert bpy.data.materials["Material"].node_tree.nodes[name].image.name == "Own"


def test_undo_brings_back_images_that_a_later_apply_removed(tmp_path: Path) -> None:
    with in_window():
        bpy.ops.ed.undo_push(message="before")
        for seed in (1, 2):
            finished_fit(tmp_path, full_result(seed))
            bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        second = everything()
        finished_fit(tmp_path, full_result(3))
        bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        third = everything()
        assert "Material base color" not in bpy.data.images
        bpy.ops.ed.undo()
        assert everything() == second
        bpy.ops.likeness.before_after("EXEC_DEFAULT", True)
        assert bpy.context.object.active_material.node_tree.nodes["Likeness Base Color"].image.name[-1] == "r"
        bpy.ops.ed.undo()
        bpy.ops.ed.redo()
        bpy.ops.ed.undo()
        bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        assert everything() == third


def test_names_are_clear_and_fits_do_not_pile_up(tmp_path: Path) -> None:
    """The result and the side that Before/After keeps: never more than two images of a kind."""
    words = [f"Material {socket.replace('_', ' ')}" for socket in STORED] + ["World environment"]
    for number in range(1, 6):
        finished_fit(tmp_path, full_result(number))
        bpy.ops.likeness.apply()
        for word in words:
            expected = [f"{word} {n}" if n > 1 else word for n in (number - 1, number) if n > 0]
            assert _names(word) == expected
        assert _names("coverage") == [f"Material coverage {number}" if number > 1 else "Material coverage"]
    assert sorted(m.name for m in bpy.data.materials if "Material" in m.name) == ["Material", "Material before fit"]
    assert sorted(world.name for world in bpy.data.worlds) == ["World", "World before fit"]
    finished_fit(tmp_path, full_result(6))
    bpy.ops.likeness.apply(keep_before=False)
    assert _names("base color") == ["Material base color 6"]
    assert "Material before fit" not in bpy.data.materials


def test_images_that_somebody_uses_stay(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.ops.likeness.apply()
    mine = bpy.data.materials.new("Mine")
    mine.use_fake_user = True
    enable_nodes(mine)
    mine.node_tree.nodes.new("ShaderNodeTexImage").image = bpy.data.images["Material base color"]
    own = bpy.data.images.new("Material roughness 7", 4, 4)  # a name like ours, by the artist
    for _ in range(3):
        bpy.ops.likeness.apply()
    assert "Material base color" in bpy.data.images
    assert own.name == "Material roughness 7"
    assert _names("Material roughness") == [f"Material roughness {number}" for number in (10, 7, 9)]


def test_everything_survives_saving_and_loading(tmp_path: Path) -> None:
    """Images are packed: the job folder and all else beside the .blend may go."""
    result = finished_fit(tmp_path / "job")
    bpy.ops.likeness.apply()
    before = shown()
    save_blend(tmp_path / "fitted.blend")
    open_blend(tmp_path / "fitted.blend")
    assert shown() == before
    made = [image for image in bpy.data.images if image.name.startswith(("Material", "World"))]
    assert len(made) == len(STORED) + 2
    assert all(image.packed_file is not None for image in made)
    for image, (channels, _, bits) in zip(result.images, STORED.values(), strict=True):
        stored = np.frombuffer(
            pixels(bpy.data.images[f"Material {image.socket.replace('_', ' ')}"]), np.float32
        ).reshape(SIDE, SIDE, -1)
        expected = np.broadcast_to(image.pixels, (SIDE, SIDE, 3))
        step = {8: 0.5 / 255 + 1e-6, 16: 0.5 / 65535 + 1e-6, 32: 1e-6}[bits]
        np.testing.assert_allclose(stored[..., :3], expected, atol=step, err_msg=f"{image.socket} {channels}")


def _link(tmp_path: Path, kind: str, name: str) -> bpy.types.ID:
    """Link a datablock that a library of this scene holds."""
    save_blend(tmp_path / "library.blend")
    with bpy.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        setattr(wanted, kind, [name])
    return getattr(wanted, kind)[0]


def _linked_material(tmp_path: Path) -> tuple[FitResult, str]:
    linked = _link(tmp_path, "materials", "Material")
    bpy.data.objects["Cube"].active_material = linked
    result = full_result(material=linked.name_full)
    return result, "linked from another file"


def _linked_light(tmp_path: Path) -> tuple[FitResult, str]:
    linked = _link(tmp_path, "lights", "Light")
    result = full_result()
    result.lights.append(FittedLight(linked.name_full, 5.0, np.ones(3)))
    return result, "linked from another file"


def _linked_world(tmp_path: Path) -> tuple[FitResult, str]:
    bpy.context.scene.world = _link(tmp_path, "worlds", "World")
    return full_result(), "linked from another file"


def _override(tmp_path: Path) -> tuple[FitResult, str]:
    override = _link(tmp_path, "materials", "Material").override_create()
    bpy.data.objects["Cube"].active_material = override
    return full_result(material=override.name_full), "library override"


def _edit_mode(_: Path) -> tuple[FitResult, str]:
    bpy.ops.object.mode_set(mode="EDIT")
    return full_result(), '"Cube" is in another mode'


def _sculpt_mode(_: Path) -> tuple[FitResult, str]:
    bpy.ops.object.mode_set(mode="SCULPT")
    return full_result(), '"Cube" is in another mode'


def _renamed_material(_: Path) -> tuple[FitResult, str]:
    bpy.data.materials["Material"].name = "Gold"
    return full_result(), 'no material "Material"'


def _deleted_light(_: Path) -> tuple[FitResult, str]:
    bpy.data.lights.remove(bpy.data.lights["Light"])
    return full_result(), 'no light "Light"'


def _no_principled(_: Path) -> tuple[FitResult, str]:
    tree = bpy.data.materials["Material"].node_tree
    tree.nodes.remove(tree.nodes["Principled BSDF"])
    return full_result(), "no Principled BSDF"


def _not_finite(_: Path) -> tuple[FitResult, str]:
    result = full_result()
    result.world = FittedWorld(float("nan"), np.ones(3))
    return result, "NaN"


def _strange_socket(_: Path) -> tuple[FitResult, str]:
    result = full_result()
    result.images.append(FittedImage("Material", "subsurface", np.zeros((2, 2, 1), np.float32), "linear", 8))
    return result, "subsurface"


@pytest.mark.parametrize(
    "prepare",
    [
        _linked_material,
        _linked_light,
        _linked_world,
        _override,
        _edit_mode,
        _sculpt_mode,
        _renamed_material,
        _deleted_light,
        _no_principled,
        _not_finite,
        _strange_socket,
    ],
)
def test_an_error_has_a_name_and_changes_nothing(
    prepare: Callable[[Path], tuple[FitResult, str]], tmp_path: Path
) -> None:
    """Also not the side that an earlier apply keeps for Before/After."""
    finished_fit(tmp_path, FitResult(exposure=0.25))
    bpy.ops.likeness.apply()
    result, message = prepare(tmp_path)
    finished_fit(tmp_path, result)
    before = everything()
    with pytest.raises(RuntimeError, match=message) as caught:
        bpy.ops.likeness.apply()
    assert "Traceback" not in str(caught.value)
    assert everything() == before
    if bpy.context.mode != "OBJECT":
        bpy.ops.object.mode_set(mode="OBJECT")


def test_photos_that_left_the_list_are_passed_over(tmp_path: Path) -> None:
    finished_fit(tmp_path)
    bpy.context.scene.likeness.photos.clear()
    assert bpy.ops.likeness.apply() == {"FINISHED"}
    assert bpy.ops.likeness.before_after() == {"FINISHED"}


def test_a_fit_that_ends_in_edit_mode_waits_to_be_applied(photo_of_start_up_scene: Path) -> None:
    settings = bpy.context.scene.likeness
    settings.photos.clear()
    bpy.ops.likeness.photo_add(filepath=str(photo_of_start_up_scene), camera="Camera")
    settings.iterations, settings.resolution, settings.texture_size, settings.device = 3, 32, 16, "cpu"
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match='"Cube" is in another mode') as caught:
        bpy.ops.likeness.fit()
    assert "Traceback" not in str(caught.value)
    assert not bpy.context.window_manager.likeness_run.running
    bpy.ops.object.mode_set(mode="OBJECT")
    assert "Material base color" not in bpy.data.images
    assert len(settings.runs) == 1
    assert bpy.ops.likeness.apply() == {"FINISHED"}
    assert "Material base color" in bpy.data.images
