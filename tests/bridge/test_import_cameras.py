# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported cameras project as the calibration says, measured with the fact sheet's camera formula and with Blender."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from mathutils import Euler, Vector

from likeness.bridge.import_cameras import import_cameras
from likeness.bridge.open_save import new_file, open_blend, save_blend
from likeness.bridge.photo_list import settings
from likeness.bridge.read_scene import read_scene
from likeness.engine.errors import SceneError
from likeness.engine.scene import Camera, Film
from likeness.engine.transforms_json import read_transforms

RNG = np.random.default_rng(11)
DATA = Path(os.environ.get("LIKENESS_DATA", Path(__file__).parents[3] / "shared" / "data")) / "gold_cape"


@pytest.fixture(autouse=True)
def _empty(empty_file: None) -> None:
    """Every test starts from an empty file."""


def _pixel(camera: Camera, film: Film, width: int, height: int, points: np.ndarray) -> np.ndarray:
    """docs/blender-image-formation.md §1: (x right, y down) of world points for an image of that size."""
    ax, ay = film.pixel_aspect
    horizontal = camera.sensor_fit == "HORIZONTAL" or (camera.sensor_fit == "AUTO" and width * ax > height * ay)
    sensor = camera.sensor_height if camera.sensor_fit == "VERTICAL" else camera.sensor_width
    n = width if horizontal else height * ay / ax
    f = n * camera.lens / sensor
    x, y, z = ((points - camera.matrix[:3, 3]) @ camera.matrix[:3, :3]).T
    px = width / 2 + f * x / -z - n * camera.shift_x
    py = height / 2 - (f * y / -z - n * camera.shift_y) * ax / ay
    return np.stack([px, py], axis=-1)


def _photo(path: Path, width: int, height: int) -> None:
    image = bpy.data.images.new("photo", width, height)
    image.file_format, image.filepath_raw = "PNG", str(path)
    image.save()
    bpy.data.images.remove(image)


def _random_frame(folder: Path, number: int, ratio: float, with_size: bool) -> dict[str, Any]:
    width, height = int(RNG.integers(20, 90)), int(RNG.integers(20, 90))
    name = f"Bild {number} ü.png"
    _photo(folder / name, width, height)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(Euler(RNG.uniform(-3, 3, 3)).to_matrix())
    matrix[:3, 3] = RNG.uniform(-2, 2, 3)
    frame: dict[str, Any] = {"file_path": name, "transform_matrix": matrix.tolist()}
    frame["fl_x"] = float(RNG.uniform(30, 200))
    frame["fl_y"] = frame["fl_x"] * ratio
    frame["cx"], frame["cy"] = float(RNG.uniform(0, width)), float(RNG.uniform(0, height))
    if with_size:
        frame["w"], frame["h"] = width, height
    return frame


@pytest.mark.parametrize("ratio", [1.0, 1.25, 0.8])
def test_projection_of_random_calibrations(tmp_path: Path, ratio: float) -> None:
    frames = [_random_frame(tmp_path, number, ratio, with_size=number % 2 == 0) for number in range(6)]
    source = tmp_path / "transforms.json"
    source.write_text(json.dumps({"frames": frames}))
    scene = new_file()
    imported = import_cameras(source, None, scene)
    assert not [note for note in imported.notes if note.severity != "supported"]
    bpy.context.view_layer.update()
    read = read_scene(scene)
    for obj, frame in zip(imported.cameras, frames, strict=True):
        photo = next(photo for photo in read.photos if photo.camera == obj.name)
        assert Path(photo.path) == tmp_path / frame["file_path"]
        calibrated = next(
            one for one in read_transforms(source, lambda path: _size(path)) if one.path.name == Path(photo.path).name
        )
        local = np.stack([*RNG.uniform(-1, 1, (2, 40)), -RNG.uniform(1, 4, 40), np.ones(40)])
        points = (calibrated.matrix @ local)[:3].T
        expected = calibrated.project(points)
        ours = _pixel(read.cameras[obj.name], read.film, calibrated.width, calibrated.height, points)
        # positions are single-precision in Blender: 1e-7 of the focal length times a slope of 1, a few operations
        np.testing.assert_allclose(ours, expected, atol=1e-3)
        aspect = scene.render.pixel_aspect_x, scene.render.pixel_aspect_y
        matrix = obj.calc_matrix_camera(
            bpy.context.evaluated_depsgraph_get(),
            x=calibrated.width,
            y=calibrated.height,
            scale_x=aspect[0],
            scale_y=aspect[1],
        )
        for point, pixel in zip(points[:5], expected, strict=False):
            clip = matrix @ obj.matrix_world.inverted() @ Vector((*point, 1))
            blender = (clip.x / clip.w + 1) / 2 * calibrated.width, (1 - clip.y / clip.w) / 2 * calibrated.height
            np.testing.assert_allclose(blender, pixel, atol=2e-3)


def _size(path: Path) -> tuple[int, int]:
    image = bpy.data.images.load(str(path))
    width, height = image.size
    bpy.data.images.remove(image)
    return width, height


def test_scene_settings_notes_and_names(tmp_path: Path) -> None:
    frames = [_random_frame(tmp_path, number, 1.0 + 0.1 * (number == 2), with_size=True) for number in range(3)]
    frames[0]["k1"] = 0.1
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
    imported = import_cameras(tmp_path / "transforms.json", None, new_file())
    scene = imported.scene
    assert [camera.name for camera in imported.cameras] == ["Bild 0 ü", "Bild 1 ü", "Bild 2 ü"]
    assert scene.view_settings.view_transform == "Standard"
    assert (scene.render.resolution_x, scene.render.resolution_y) == (frames[0]["w"], frames[0]["h"])
    assert scene.camera == imported.cameras[0]
    found = {(note.datablock, note.severity) for note in imported.notes}
    assert found == {('Object "Bild 0 ü"', "approximated"), ('Object "Bild 2 ü"', "approximated")}


def _export_glb(blend: Path, path: Path) -> None:
    """Export the open scene by another process: the module of 4.2 crashes when it ends after a glTF export."""
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    script = (
        "import sys, bpy\n"
        "bpy.ops.wm.open_mainfile(filepath=sys.argv[1])\n"
        "bpy.ops.export_scene.gltf(filepath=sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", script, str(blend), str(path)], check=False, capture_output=True)
    assert path.is_file()


@pytest.mark.parametrize("suffix", [".obj", ".ply", ".stl", ".glb"])
def test_meshes_come_in_as_written_with_a_principled_material(tmp_path: Path, suffix: str) -> None:
    vertices = [(0, 0, 0), (1, 0, 0), (0, 2, 0), (0, 0, 3)]
    mesh = bpy.data.meshes.new("Tetraeder")
    mesh.from_pydata(vertices, [], [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)])
    obj = bpy.data.objects.new("Tetraeder", mesh)
    bpy.context.scene.collection.objects.link(obj)
    path = tmp_path / f"tetra{suffix}"
    exporters = {
        ".obj": lambda: bpy.ops.wm.obj_export(filepath=str(path), forward_axis="Y", up_axis="Z"),
        ".ply": lambda: bpy.ops.wm.ply_export(filepath=str(path), forward_axis="Y", up_axis="Z"),
        ".stl": lambda: bpy.ops.wm.stl_export(filepath=str(path), forward_axis="Y", up_axis="Z"),
        ".glb": lambda: _export_glb(tmp_path / "tetra.blend", path),
    }
    exporters[suffix]()
    scene = new_file()
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": [_random_frame(tmp_path, 0, 1.0, True)]}))
    imported = import_cameras(tmp_path / "transforms.json", path, scene)
    assert len(imported.meshes) == 1
    read = read_scene(scene)
    assert {tuple(position) for position in read.meshes[0].positions.round(5).tolist()} == set(vertices)
    (material,) = read.materials.values()
    assert material.editable
    assert material.specular_level.value[0] == pytest.approx(0.5)


def test_bad_meshes_are_refused_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": [_random_frame(tmp_path, 0, 1.0, True)]}))
    (tmp_path / "mesh.fbx").write_bytes(b"")
    (tmp_path / "empty.obj").write_text("# nothing\n")
    for name, words in (("keins.obj", "does not exist"), ("mesh.fbx", "Convert"), ("empty.obj", "no mesh")):
        scene = new_file()
        with pytest.raises(SceneError, match=words):
            import_cameras(tmp_path / "transforms.json", tmp_path / name, scene)
        assert len(bpy.data.objects) == 0
        assert scene.view_settings.view_transform != "Standard"


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the gold cape photos: LIKENESS_DATA=FOLDER")
def test_the_gold_cape_comes_in_whole_and_survives_saving(tmp_path: Path) -> None:
    import_cameras(DATA / "transforms.json", DATA / "mesh.obj", new_file())
    save_blend(tmp_path / "cape.blend")
    scene = open_blend(tmp_path / "cape.blend")
    read = read_scene(scene)
    assert len(read.photos) == len(read.cameras) == len(json.loads((DATA / "transforms.json").read_text())["frames"])
    assert all(Path(photo.path).is_file() and Path(photo.mask_path).is_file() for photo in read.photos)
    assert all(item.path.startswith("//") for item in settings(scene).photos)
    corners = read.meshes[0].positions
    lines = (DATA / "mesh.obj").read_text().splitlines()
    written = np.array([line.split()[1:4] for line in lines if line.startswith("v ")], float)
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [written.min(0), written.max(0)], atol=1e-5)
    for calibrated in read_transforms(DATA / "transforms.json", _size):
        camera = read.cameras[calibrated.path.stem]
        ours = _pixel(camera, read.film, calibrated.width, calibrated.height, written[::500])
        np.testing.assert_allclose(ours, calibrated.project(written[::500]), atol=2e-3)
