# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input of every kind: one line that says what, where and what to do; the right exit code; nothing left behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import bpy
import pytest

from tests.cli_scenes import (
    CAMERA,
    OTHER_CAMERA,
    QUICK,
    Run,
    build_scene,
    cube,
    listing,
    photo_of,
    plug_noise,
    save_mask,
    save_photo,
)


def _fails(run: Run, folder: Path, code: int, *arguments: object) -> str:
    before = listing(folder)
    done = run(*arguments)
    assert done.code == code, done.err
    assert listing(folder) == before
    return done.error


def test_missing_scene(run: Run, folder: Path) -> None:
    error = _fails(run, folder, 3, "fit", folder / "no.blend", "--fit", "world", "--output", folder / "o.blend")
    assert "no.blend" in error


@pytest.mark.parametrize("content", [b"", b"this is not a scene" * 50])
def test_scene_that_is_none(run: Run, folder: Path, content: bytes) -> None:
    (folder / "bad.blend").write_bytes(content)
    error = _fails(run, folder, 3, "fit", folder / "bad.blend", "--fit", "world", "--output", folder / "o.blend")
    assert "bad.blend" in error


def _damage_nothing(_path: Path) -> None:
    pass


PHOTOS: dict[str, Callable[[Path], object]] = {
    "missing": _damage_nothing,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\x01garbage" * 100),
    "cut off": lambda path: path.write_bytes(save_photo(path).read_bytes()[:200]),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", PHOTOS)
def test_photo_that_cannot_be_read(run: Run, folder: Path, scene: Path, kind: str) -> None:
    PHOTOS[kind](folder / "bad photo.png")
    error = _fails(
        run, folder, 3,
        "fit", scene, "--photo", f"{CAMERA}={folder / 'bad photo.png'}", "--fit", "base_color",
        "--output", folder / "o.blend", *QUICK,
    )  # fmt: skip
    assert "bad photo.png" in error


def test_camera_not_found(run: Run, folder: Path, scene: Path) -> None:
    error = _fails(
        run, folder, 3,
        "fit", scene, "--photo", f"Nobody={folder / 'photo=1 ö.png'}", "--fit", "world", "--output", folder / "o.blend",
    )  # fmt: skip
    assert '"Nobody' in error
    assert CAMERA in error, "the cameras that exist are named"


def test_mask_without_photo(run: Run, folder: Path, scene: Path) -> None:
    save_mask(folder / "mask.png", 255)
    error = _fails(
        run, folder, 3,
        "fit", scene, "--photo", photo_of(folder), "--mask", f"{OTHER_CAMERA}={folder / 'mask.png'}",
        "--fit", "world", "--output", folder / "o.blend",
    )  # fmt: skip
    assert OTHER_CAMERA in error


def test_all_black_mask(run: Run, folder: Path, scene: Path) -> None:
    save_mask(folder / "black.png", 0)
    error = _fails(
        run, folder, 3,
        "fit", scene, "--photo", photo_of(folder), "--mask", f"{CAMERA}={folder / 'black.png'}",
        "--fit", "base_color", "--output", folder / "o.blend", *QUICK,
    )  # fmt: skip
    assert "black.png" in error


def test_mask_of_another_shape(run: Run, folder: Path, scene: Path) -> None:
    save_mask(folder / "tall.png", 255, (54, 96))
    error = _fails(
        run, folder, 3,
        "fit", scene, "--photo", photo_of(folder), "--mask", f"{CAMERA}={folder / 'tall.png'}",
        "--fit", "base_color", "--output", folder / "o.blend", *QUICK,
    )  # fmt: skip
    assert "tall.png" in error


def _scene_error(run: Run, folder: Path, change: Callable[[bpy.types.Scene], None], *targets: str) -> str:
    scene = build_scene(folder / "broken.blend", change)
    return _fails(
        run, folder, 3,
        "fit", scene, "--photo", photo_of(folder), "--fit", *targets, "--output", folder / "o.blend", *QUICK,
    )  # fmt: skip


def _scene_warning(run: Run, folder: Path, change: Callable[[bpy.types.Scene], None], *targets: str) -> str:
    """The warning about a scene that can be fitted all the same."""
    scene = build_scene(folder / "odd.blend", change)
    out = folder / "o.blend"
    done = run("fit", scene, "--photo", photo_of(folder), "--fit", *targets, "--output", out, *QUICK)
    assert done.code == 0, done.err
    assert out.is_file()
    assert done.error.startswith("likeness: warning: ")
    return done.error


def test_mesh_without_uvs(run: Run, folder: Path) -> None:
    def change(_scene: bpy.types.Scene) -> None:
        layers = cube().data.uv_layers
        layers.remove(layers[0])

    error = _scene_error(run, folder, change, "base_color@Material")
    assert '"Cube"' in error
    assert "nwrap" in error


def test_material_that_is_not_there(run: Run, folder: Path) -> None:
    error = _scene_error(run, folder, lambda scene: None, "base_color@Gold")
    assert '"Gold"' in error
    assert '"Material"' in error, "what there is is named"


def test_object_without_material(run: Run, folder: Path) -> None:
    def all_bare(_scene: bpy.types.Scene) -> None:
        cube().data.materials.clear()

    assert '"Cube"' in _fails_with_warnings(run, folder, all_bare, "base_color")

    def one_bare(scene: bpy.types.Scene) -> None:
        bare = cube().copy()
        bare.data = cube().data.copy()
        bare.name = "Bare"
        bare.location.x = 2.5
        bare.data.materials.clear()
        scene.collection.objects.link(bare)

    scene = build_scene(folder / "one bare.blend", one_bare)
    done = run("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", folder / "o.blend", *QUICK)
    assert done.code == 0, done.err
    assert '"Bare"' in done.err


def _fails_with_warnings(run: Run, folder: Path, change: Callable[[bpy.types.Scene], None], *targets: str) -> str:
    scene = build_scene(folder / "bare.blend", change)
    done = run("fit", scene, "--photo", photo_of(folder), "--fit", *targets, "--output", folder / "o.blend", *QUICK)
    assert done.code == 3
    assert sum("error:" in line for line in done.err.splitlines()) == 1
    assert not (folder / "o.blend").exists()
    return done.err


def test_unsupported_node(run: Run, folder: Path) -> None:
    warning = _scene_warning(run, folder, lambda scene: plug_noise("Roughness"), "base_color")
    assert '"Material"' in warning
    assert "Noise" in warning


def test_nothing_visible(run: Run, folder: Path) -> None:
    def change(_scene: bpy.types.Scene) -> None:
        bpy.data.objects[CAMERA].rotation_euler = (3.14159, 0.0, 0.0)

    assert CAMERA in _scene_error(run, folder, change, "base_color")


def test_camera_inside_the_mesh(run: Run, folder: Path) -> None:
    def change(_scene: bpy.types.Scene) -> None:
        bpy.data.objects[CAMERA].location = (0.1, 0.2, 0.1)

    warning = _scene_warning(run, folder, change, "base_color")
    assert CAMERA in warning
    assert '"Cube"' in warning


def test_a_camera_outside_is_not_said_to_be_inside(run: Run, folder: Path, scene: Path) -> None:
    plan = run("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--dry-run")
    assert plan.err == ""


def test_vertices_that_are_no_numbers(run: Run, folder: Path) -> None:
    def change(_scene: bpy.types.Scene) -> None:
        cube().data.vertices[0].co = (float("nan"), 0.0, 0.0)

    assert '"Cube"' in _scene_error(run, folder, change, "base_color")


def test_photo_of_another_aspect(run: Run, folder: Path, scene: Path) -> None:
    save_photo(folder / "tall.png", (54, 96))
    out = folder / "o.blend"
    photo = f"{CAMERA}={folder / 'tall.png'}"
    done = run("fit", scene, "--photo", photo, "--fit", "base_color", "--output", out, *QUICK)
    assert done.code == 0, done.err
    assert "54 x 96" in done.error
    assert out.is_file()


def test_twelve_megapixels(run: Run, folder: Path, scene: Path) -> None:
    save_photo(folder / "large.jpg", (4608, 2592))
    out = folder / "o.blend"
    photo = f"{CAMERA}={folder / 'large.jpg'}"
    done = run("fit", scene, "--photo", photo, "--fit", "base_color", "--output", out, *QUICK)
    assert done.code == 0, done.err
    assert done.err == ""


def test_no_free_disk(run: Run, folder: Path, scene: Path, full_disk: Path) -> None:
    done = run(
        "fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", full_disk / "o.blend", *QUICK
    )
    assert done.code == 3
    assert str(full_disk) in done.error
    assert listing(full_disk) == set()


def test_a_disk_that_is_full_at_the_end_costs_no_fit(run: Run, folder: Path, scene: Path, full_disk: Path) -> None:
    done = run(
        "fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--run-dir", folder / "run",
        "--output", full_disk / "o.blend", *QUICK,
    )  # fmt: skip
    assert done.code == 3
    assert "--resume" in done.error
    assert listing(full_disk) == set()
    again = run("fit", "--resume", folder / "run", "--output", folder / "o.blend", "--progress", "json")
    assert again.code == 0, again.err
    assert [json.loads(line)["type"] for line in again.out.splitlines()] == ["result"], "nothing is fitted again"
    assert (folder / "o.blend").is_file()


def test_output_that_cannot_be(run: Run, folder: Path, scene: Path) -> None:
    (folder / "link.blend").symlink_to(scene)
    (folder / "a folder.blend").mkdir()
    common = ("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output")
    for code, output, part in (
        (2, scene, "input"),
        (2, folder / "link.blend", "input"),
        (2, folder / "o.png", ".blend"),
        (3, folder / "no folder" / "o.blend", "no folder"),
        (3, folder / "a folder.blend", "a folder"),
    ):
        assert part in _fails(run, folder, code, *common, output)


def test_report_folder_that_cannot_be(run: Run, folder: Path, scene: Path) -> None:
    (folder / "file").write_text("")
    common = ("fit", scene, "--photo", photo_of(folder), "--fit", "base_color", "--output", folder / "o.blend")
    _fails(run, folder, 3, *common, "--report", folder / "file")
    _fails(run, folder, 3, *common, "--report", folder / "no" / "folder")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "COMMAND"),
        (["paint"], "paint"),
        (["fit", "{scene}", "--photo", "{photo}", "--output", "{out}", "--fit", "base_colour"], "base_color"),
        (["fit", "{scene}", "--photo", "{photo}", "--output", "{out}", "--fit", "world@World"], "world"),
        (["fit", "{scene}", "--photo", "{photo}", "--output", "{out}", "--fit", "lights@"], "lights@"),
        (["fit", "{scene}", "--photo", "{photo}", "--fit", "lights"], "--output"),
        (["fit", "{scene}", "--photo", "a.png", "--fit", "lights", "--output", "{out}"], "CAMERA=FILE"),
        (["fit", "{scene}", "--fit", "lights", "--output", "{out}"], "--photo"),
        (["fit", "{scene}", "--iterations", "many", "--output", "{out}"], "many"),
        (["fit", "{scene}", "--resolution", "0", "--output", "{out}"], "--resolution"),
        (["fit", "{scene}", "--device", "abacus", "--output", "{out}"], "abacus"),
        (["render", "{scene}", "--output", "{out}"], ".exr"),
        (["render", "{scene}", "--output", "x.png", "--resolution", "12"], "12"),
    ],
)
def test_usage(run: Run, folder: Path, scene: Path, arguments: list[str], part: str) -> None:
    words = {"scene": scene, "photo": photo_of(folder), "out": folder / "o.blend"}
    assert part in _fails(run, folder, 2, *(argument.format(**words) for argument in arguments))


def test_render_with_a_camera_that_is_not_there(run: Run, folder: Path, scene: Path) -> None:
    error = _fails(run, folder, 3, "render", scene, "--camera", "Nobody", "--output", folder / "r.png")
    assert '"Nobody"' in error


def test_import_of_what_is_not_there(run: Run, folder: Path) -> None:
    out = folder / "o.blend"
    assert "t.json" in _fails(run, folder, 3, "import-cameras", folder / "t.json", "--output", out)
    (folder / "t.json").write_text("{")
    assert "t.json" in _fails(run, folder, 3, "import-cameras", folder / "t.json", "--output", out)
