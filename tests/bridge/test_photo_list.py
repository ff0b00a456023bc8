# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo list, the settings, and files that live without Likeness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness import properties
from likeness.bridge.fit_settings import read_fit_settings
from likeness.bridge.open_save import save_blend
from likeness.bridge.photo_list import add_photo, read_photos, set_mask, settings
from likeness.bridge.read_scene import read_scene
from likeness.engine.errors import SceneError
from likeness.engine.result import TARGETS, Target
from tests.bridge.probe import new_material

pytestmark = pytest.mark.usefixtures("empty_file")


def _camera(name: str) -> bpy.types.Object:
    camera = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(camera)
    return camera


def test_photos_are_read_as_added(tmp_path: Path) -> None:
    _camera("Kamera von Süden 1")
    scene = bpy.context.scene
    add_photo(
        scene, "Kamera von Süden 1", str(tmp_path / "ein Bild.jpg"), weight=2, exposure=0.5, white_balance=(1.1, 1, 0.9)
    )
    add_photo(scene, "Kamera von Süden 1", str(tmp_path / "hell.EXR"), mask=str(tmp_path / "m.png"), enabled=False)
    add_photo(scene, "Kamera von Süden 1", str(tmp_path / "sub" / "hell.exr"))
    first, second, third = read_photos(scene)
    assert (first.camera, first.path, first.name) == ("Kamera von Süden 1", str(tmp_path / "ein Bild.jpg"), "ein Bild")
    assert (first.weight, first.exposure, first.domain, first.mask_path) == (2, 0.5, "display", None)
    np.testing.assert_allclose(first.white_balance, (1.1, 1, 0.9), rtol=1e-6)
    assert (second.enabled, second.domain, second.mask_path) == (False, "linear", str(tmp_path / "m.png"))
    assert (second.name, third.name) == ("hell", "hell.001")


def test_adding_again_updates_and_masks_find_their_photo(tmp_path: Path) -> None:
    _camera("A")
    _camera("B")
    scene = bpy.context.scene
    add_photo(scene, "A", str(tmp_path / "a.jpg"), weight=3)
    add_photo(scene, "A", str(tmp_path / "a.jpg"), mask=str(tmp_path / "m.png"))
    (photo,) = read_photos(scene)
    assert (photo.weight, photo.mask_path) == (3, str(tmp_path / "m.png"))
    set_mask(scene, "A", str(tmp_path / "n.png"))
    assert read_photos(scene)[0].mask_path == str(tmp_path / "n.png")
    with pytest.raises(SceneError, match='"B" has a mask but no photo'):
        set_mask(scene, "B", str(tmp_path / "m.png"))


def test_unknown_cameras_list_the_known_ones() -> None:
    with pytest.raises(SceneError, match="no camera"):
        add_photo(bpy.context.scene, "A", "a.jpg")
    _camera("Süd")
    _camera("Nord Ost")
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Leer", None))
    with pytest.raises(SceneError, match=r'"West".*"Süd", "Nord Ost"'):
        add_photo(bpy.context.scene, "West", "a.jpg")
    with pytest.raises(SceneError, match='"Leer" is no camera but a Empty'):
        add_photo(bpy.context.scene, "Leer", "a.jpg")


def test_broken_entries() -> None:
    camera = _camera("Weg")
    scene = bpy.context.scene
    add_photo(scene, "Weg", "/a.jpg")
    bpy.data.objects.remove(camera)
    with pytest.raises(SceneError, match="no camera"):
        read_photos(scene)
    read = read_scene(scene)
    assert read.photos == []
    assert [note.severity for note in read.notes if note.datablock == 'Photo "a"'] == ["error"]
    settings(scene).photos[0].enabled = False
    assert read_photos(scene) == []


def test_fit_settings_of_the_sidebar() -> None:
    scene = bpy.context.scene
    stored = settings(scene)
    for kind in TARGETS:
        setattr(stored.targets, kind, kind in {"roughness", "lights", "world"})
    stored.targets.material = new_material("Gold")
    stored.targets.light = bpy.data.lights.new("Lampe", "POINT")
    stored.iterations, stored.resolution, stored.texture_size, stored.device, stored.seed = 7, 256, 128, "cpu", 3
    read = read_fit_settings(scene)
    assert read.targets == [Target("roughness", "Gold"), Target("lights", "Lampe"), Target("world")]
    assert (read.iterations, read.resolution, read.texture_size, read.device, read.seed) == (7, 256, 128, "cpu", 3)


def test_every_property_explains_itself() -> None:
    properties.ensure_registered()
    for cls in properties.CLASSES:
        for prop in cls.bl_rna.properties:
            if prop.identifier not in {"rna_type", "name"}:
                assert len(prop.description) > 15, f"{cls.__name__}.{prop.identifier}"
                assert not prop.description.endswith("."), (
                    f"{cls.__name__}.{prop.identifier}: Blender adds the full stop"
                )


def test_registering_twice_and_unregistering_twice() -> None:
    properties.unregister()
    properties.unregister()
    assert not properties.is_registered()
    properties.register()
    assert properties.is_registered()
    properties.unregister()
    properties.ensure_registered()
    properties.ensure_registered()
    assert properties.is_registered()


def test_a_file_stays_usable_without_likeness(tmp_path: Path) -> None:
    _camera("A")
    add_photo(bpy.context.scene, "A", str(tmp_path / "a.jpg"), weight=4)
    save_blend(tmp_path / "in.blend")
    script = (
        "import bpy, sys\n"
        "bpy.ops.wm.open_mainfile(filepath=sys.argv[1])\n"
        "assert not hasattr(bpy.context.scene, 'likeness')\n"
        "assert bpy.context.scene.objects['A'].type == 'CAMERA'\n"
        "bpy.ops.wm.save_as_mainfile(filepath=sys.argv[2])\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "in.blend"), str(tmp_path / "out.blend")], check=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "out.blend"))
    (photo,) = read_photos(bpy.context.scene)
    assert (photo.camera, photo.weight, photo.path) == ("A", 4, str(tmp_path / "a.jpg"))
