# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders: everything comes back as it was, and nothing but a whole job is ever read."""

from __future__ import annotations

import dataclasses
import json
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.engine import result as result_module
from likeness.engine import scene as scene_module
from likeness.engine.codec import CodecError, decode, encode
from likeness.engine.errors import OutputError, SceneError
from likeness.engine.job import load_job, load_result, load_settings, save_job, save_result
from likeness.engine.result import (
    FitResult,
    FitSettings,
    FittedImage,
    FittedLight,
    FittedWorld,
    PhotoResult,
    Target,
)
from likeness.engine.scene import Camera, Image, Light, Material, Mesh, NormalMap, Note, Photo, Scene, Texture, scalar

RNG = np.random.default_rng(7)


def floats(*shape: int) -> np.ndarray:
    return RNG.random(shape, np.float32)


def small_scene() -> Scene:
    """One of everything, with names that artists give."""
    gold = Material("Gold/50% = ä", base_color=scene_module.Socket(floats(3), Texture("wood.png", "UV \\ 1")))
    gold.normal = NormalMap(Texture("n", channel=None, node="Image Texture"), 0.7)
    gold.roughness = scene_module.Socket(floats(1), Texture("wood.png", channel=2, extension="CLIP"))
    mesh = Mesh(
        name="Würfel #2",
        positions=floats(4, 3),
        triangles=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        corner_normals=floats(2, 3, 3),
        uv_maps={"UV \\ 1": floats(2, 3, 2), "a/b": floats(2, 3, 2)},
        active_uv="a/b",
        material_names=[gold.name, "日本"],
        material_index=np.zeros(2, np.int32),
        corner_tangents=floats(2, 3, 4),
    )
    scene = Scene(
        "Szene",
        meshes=[mesh],
        materials={gold.name: gold, "日本": Material("日本", metallic=scalar(1.0))},
        images={"wood.png": Image("wood.png", floats(2, 3, 4), "sRGB"), "n": Image("n", floats(1, 1, 4))},
        lights=[Light("Key", "Key data", "AREA", np.eye(4, dtype=np.float32), 120.0, floats(3), area_size=(1.0, 2.0))],
        cameras={"Cam = 1": Camera("Cam = 1", np.eye(4) * 0.1)},
        notes=[Note("ignored", 'Material "日本"', "subsurface")],
    )
    scene.world.image = "n"
    return scene


def assert_same(found: Any, wanted: Any) -> None:
    """Equal in type, dtype and every bit."""
    assert type(found) is type(wanted)
    if isinstance(wanted, np.ndarray):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    elif dataclasses.is_dataclass(wanted):
        for field in dataclasses.fields(wanted):
            assert_same(getattr(found, field.name), getattr(wanted, field.name))
    elif isinstance(wanted, dict):
        assert list(found) == list(wanted)
        for key, item in wanted.items():
            assert_same(found[key], item)
    elif isinstance(wanted, list | tuple):
        assert len(found) == len(wanted)
        for a, b in zip(found, wanted, strict=True):
            assert_same(a, b)
    else:
        assert found == wanted or (found != found and wanted != wanted)


def test_job_comes_back_as_it_was(tmp_path: Path) -> None:
    photo = tmp_path / "bild = ä.png"
    photo.write_bytes(b"pixels")
    scene = small_scene()
    scene.photos = [Photo("Cam = 1", str(photo), str(photo), name="bild", exposure=0.5, full_size=(4000, 3000))]
    settings = FitSettings([Target("base_color", "Gold/50% = ä"), Target("lights")], 12, 64, 128, "cpu", 9)
    save_job(tmp_path / "job", scene, settings)
    found_scene, found_settings = load_job(tmp_path / "job")
    assert_same(found_scene, scene)
    assert_same(found_settings, settings)
    assert_same(load_settings(tmp_path / "job"), settings)


def test_pixels_stay_out_and_the_callers_photos_untouched(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"pixels")
    photo = Photo("Camera", str(tmp_path / "a.png"), pixels=floats(2, 2, 3), mask=floats(2, 2))
    save_job(tmp_path / "job", Scene(photos=[photo]), FitSettings())
    assert photo.pixels is not None
    assert load_job(tmp_path / "job")[0].photos[0].pixels is None


def test_relative_photos_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(b"pixels")
    monkeypatch.chdir(tmp_path)
    save_job(tmp_path / "job", Scene(photos=[Photo("Camera", "a.png")]), FitSettings())
    monkeypatch.chdir("/")
    assert Path(load_job(tmp_path / "job")[0].photos[0].path).read_bytes() == b"pixels"


def test_a_job_with_copies_can_be_moved(tmp_path: Path) -> None:
    photos = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.png").write_text(folder)
        (tmp_path / folder / "mask.png").write_text(folder + " mask")
        photos.append(Photo("Camera", str(tmp_path / folder / "same.png"), str(tmp_path / folder / "mask.png")))
    save_job(tmp_path / "job", Scene(photos=photos), FitSettings(), copy_photos=True)
    (tmp_path / "job").rename(tmp_path / "elsewhere")
    for folder in ("one", "two"):
        (tmp_path / folder / "same.png").unlink()
    found = load_job(tmp_path / "elsewhere")[0].photos
    assert [Path(photo.path).read_text() for photo in found] == ["one", "two"]
    assert [Path(str(photo.mask_path)).read_text() for photo in found] == ["one mask", "two mask"]


def test_result_comes_back_as_it_was(tmp_path: Path) -> None:
    result = FitResult(
        images=[FittedImage("Gold", "roughness", floats(4, 4, 1), "linear", 16)],
        lights=[FittedLight("Key data", 99.5, floats(3))],
        world=FittedWorld(0.5, floats(3), floats(2, 4, 3)),
        photos=[
            PhotoResult("p", "C", 0.1, floats(3), floats(2, 2, 3), floats(2, 2, 3), floats(2, 2, 3), None, 20.0, np.inf)
        ],
        coverage={"Gold": floats(4, 4)},
        history=[(0, "coarse", 0.5), (1, "coarse", float("nan"))],
        warnings=["one"],
        gauge="mean albedo",
        seconds={"coarse": 1.5},
        iterations=2,
        cancelled=True,
    )
    save_result(tmp_path, result)
    assert_same(load_result(tmp_path), result)


def test_a_numpy_number_in_a_result_becomes_a_number(tmp_path: Path) -> None:
    save_result(tmp_path, FitResult(exposure=np.float32(0.25), history=[(np.int64(3), "s", np.float32(0.5))]))  # type: ignore[list-item]
    assert_same(load_result(tmp_path).history, [(3, "s", 0.5)])


@pytest.mark.parametrize("module", [scene_module, result_module])
def test_every_field_type_can_be_stored(module: Any) -> None:
    """A field added to the contract with a type that the codec does not know fails here, not at an artist's."""
    allowed = {np.ndarray, int, float, bool, str, type(None)}

    def leaves(kind: Any) -> set[Any]:
        if typing.get_origin(kind) is typing.Literal:
            return set()
        arguments = [a for a in typing.get_args(kind) if a is not Ellipsis]
        return set().union(*map(leaves, arguments)) if arguments else {kind}

    for kind in vars(module).values():
        if dataclasses.is_dataclass(kind) and isinstance(kind, type):
            for name, hint in typing.get_type_hints(kind).items():
                unknown = {leaf for leaf in leaves(hint) if leaf not in allowed and not dataclasses.is_dataclass(leaf)}
                assert not unknown, f"{kind.__name__}.{name}"


def test_objects_are_refused() -> None:
    with pytest.raises(CodecError):
        encode(np.array([object()]), {})
    with pytest.raises(CodecError):
        encode({"x": object()}, {})


@pytest.mark.parametrize(
    "data",
    [
        {"targets": [], "iterations": "many"},
        {"targets": [], "iterations": True},
        {"targets": {}, "device": "cpu"},
        {"device": "abacus"},
        {"colour": 1},
        [],
    ],
)
def test_wrong_types_are_refused(data: Any) -> None:
    with pytest.raises(CodecError):
        decode(FitSettings, data, {})


def test_a_job_without_a_newer_field_takes_its_default() -> None:
    assert decode(FitSettings, {"iterations": 4}, {}) == FitSettings(iterations=4)


def test_a_folder_that_is_no_job_says_so(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"has no job\.json"):
        load_job(tmp_path)


@pytest.mark.parametrize("file", ["job.json", "job.npz"])
def test_a_cut_off_job_says_so(tmp_path: Path, file: str) -> None:
    save_job(tmp_path, small_scene(), FitSettings())
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SceneError, match="damaged"):
        load_job(tmp_path)


def test_a_job_from_a_newer_likeness_says_so(tmp_path: Path) -> None:
    save_job(tmp_path, Scene(), FitSettings())
    data = json.loads((tmp_path / "job.json").read_text())
    data["settings"]["hologram"] = True
    (tmp_path / "job.json").write_text(json.dumps(data))
    with pytest.raises(SceneError, match="newer Likeness"):
        load_job(tmp_path)


def test_a_folder_that_cannot_be_written_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        save_job(tmp_path / "file" / "job", Scene(), FitSettings())


def test_a_full_disk_leaves_no_half_job(full_disk: Path) -> None:
    with pytest.raises(OutputError, match="disk is full"):
        save_job(full_disk / "job", _large_scene(), FitSettings())
    assert not (full_disk / "job" / "job.json").exists()
    assert [path.name for path in (full_disk / "job").iterdir()] == []


def _large_scene() -> Scene:
    return Scene(images={"big": Image("big", floats(512, 512, 4))})
