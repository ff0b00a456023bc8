# SPDX-License-Identifier: GPL-3.0-or-later
"""`check` names what is wrong, left out or approximated, and everything else as supported."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from likeness.bridge.check import check
from likeness.bridge.photo_list import add_photo


@pytest.mark.usefixtures("startup_file")
def test_the_startup_scene_is_supported() -> None:
    bpy.context.scene.render.engine = "CYCLES"
    found = {note.datablock: note.severity for note in check(bpy.context.scene)}
    assert set(found.values()) == {"supported"}
    assert {'Object "Cube"', 'Material "Material"', 'Light "Light"', 'Object "Camera"', 'World "World"'} <= set(found)


@pytest.mark.usefixtures("empty_file")
def test_an_empty_scene_has_errors_first() -> None:
    notes = check(bpy.context.scene)
    assert [note.severity for note in notes[:2]] == ["error", "error"]
    messages = " ".join(note.message for note in notes)
    for words in ("no visible mesh", "no camera", "nothing emits light"):
        assert words in messages


@pytest.mark.usefixtures("startup_file")
def test_findings_of_all_rooms(tmp_path: Path) -> None:
    scene = bpy.context.scene
    cube = bpy.data.objects["Cube"]
    cube.data.uv_layers.remove(cube.data.uv_layers[0])
    cube.data.update()  # Blender does not notice by itself
    (tmp_path / "photo.jpg").write_bytes(b"x")
    add_photo(scene, "Camera", str(tmp_path / "photo.jpg"), mask=str(tmp_path / "keine Maske.png"))
    add_photo(scene, "Camera", str(tmp_path / "kein Foto.jpg"))
    image = bpy.data.images.new("Fehlt", 4, 4)
    image.source, image.filepath = "FILE", str(tmp_path / "fehlt.png")
    tree = bpy.data.materials["Material"].node_tree
    texture = tree.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader = next(node for node in tree.nodes if node.bl_idname == "ShaderNodeBsdfPrincipled")
    shader.inputs["Thin Film Thickness"].default_value = 300
    tree.links.new(texture.outputs["Color"], shader.inputs["Base Color"])
    camera = bpy.data.objects["Camera"].data
    camera.dof.use_dof = True
    panorama = bpy.data.objects.new("Rundum", bpy.data.cameras.new("Rundum"))
    panorama.data.type = "PANO"
    scene.collection.objects.link(panorama)
    scene.render.use_motion_blur = True
    scene.view_settings.use_curve_mapping = True
    found = {(note.severity, note.datablock) for note in check(scene)}
    assert found >= {
        ("error", 'Image "Fehlt"'),
        ("error", 'Photo "photo"'),
        ("error", 'Photo "kein Foto"'),
        ("ignored", 'Object "Rundum"'),
        ("approximated", 'Camera "Camera"'),
        ("ignored", 'Scene "Scene"'),
        ("approximated", 'Object "Cube"'),
        ("approximated", 'Material "Material"'),
        ("approximated", 'Scene "Scene"'),
    }
    bpy.data.objects["Cube"].data.vertices[0].co.x = float("nan")
    (note,) = check(scene)
    assert note.severity == "error"
    assert "Cube" in note.message
