# SPDX-License-Identifier: GPL-3.0-or-later
"""The photo list in Blender: adding, order, files that move, thumbnails, bad input, undo."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import pytest
from mathutils import Matrix, Vector
from PIL import Image as PillowImage

import likeness
from likeness import api
from likeness.bridge import photo_edit, photo_files, photo_list
from likeness.engine.errors import SceneError
from likeness.engine.result import FitSettings, Target
from likeness.engine.scene import Photo

pytestmark = pytest.mark.usefixtures("addon")


def photo_file(path: Path, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.radial_gradient("L").resize(size).convert(mode).save(path, **options)
    return path


def add(*paths: Path, **options: Any) -> set[str]:
    files = [{"name": path.name} for path in paths]
    return bpy.ops.likeness.photo_add(directory=str(paths[0].parent), files=files, **options)


def listed() -> Any:
    return bpy.context.scene.likeness.photos


def names() -> list[str]:
    return [item.name for item in listed()]


def camera(name: str) -> bpy.types.Object:
    obj = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(obj)
    return obj


def remove_all_cameras() -> None:
    for obj in [obj for obj in bpy.data.objects if obj.type == "CAMERA"]:
        bpy.data.objects.remove(obj)


@pytest.fixture
def undo() -> Iterator[None]:
    """An undo history to which operators add a step."""
    window = bpy.context.window_manager.windows[0]
    with bpy.context.temp_override(window=window, screen=window.screen):
        bpy.ops.ed.undo_push(message="before")
        yield


def test_photos_find_the_camera_of_their_name_however_it_is_spelt(tmp_path: Path) -> None:
    camera("Süden 1")
    camera("süden 1")
    decomposed = photo_file(tmp_path / (unicodedata.normalize("NFD", "Süden 1") + ".JPG"))
    add(decomposed, photo_file(tmp_path / "süden 1.png"), photo_file(tmp_path / "other.png"), camera="Camera")
    assert [item.camera.name for item in listed()] == ["Süden 1", "süden 1", "Camera"]
    assert bpy.context.scene.likeness.active_photo == 2
    assert all(Path(photo_list.absolute_path(item.path)).is_file() for item in listed())


def test_dropped_photos_need_no_dialog(tmp_path: Path) -> None:
    """Blender calls the file handler's operator as a user does, with the files filled in."""
    handler = bpy.types.LIKENESS_FH_photos
    assert ".webp" in handler.bl_file_extensions
    assert handler.bl_import_operator == "likeness.photo_add"
    files = [photo_file(tmp_path / name) for name in ("a.png", "b.jpg")]
    done = bpy.ops.likeness.photo_add(
        "INVOKE_DEFAULT", directory=str(tmp_path), files=[{"name": file.name} for file in files]
    )
    assert done == {"FINISHED"}
    assert [(item.name, item.camera.name) for item in listed()] == [("a", "Camera"), ("b", "Camera")]


def test_without_a_camera_photos_bring_their_own(tmp_path: Path) -> None:
    remove_all_cameras()
    exif = PillowImage.Exif()
    exif.get_ifd(0x8769).update({0x920A: 80.0, 0xA405: 80})
    files = [photo_file(tmp_path / "a.png"), photo_file(tmp_path / "b ö.jpg", exif=exif.tobytes())]
    with pytest.raises(RuntimeError, match="New Cameras"):
        add(*files)
    assert not len(listed())
    assert add(*files, new_camera=True) == {"FINISHED"}
    assert [item.camera.name for item in listed()] == ["a", "b ö"]
    assert listed()[0].in_scene
    assert bpy.context.scene.camera.name == "a"
    assert bpy.data.cameras["b ö"].lens == pytest.approx(80)
    assert bpy.data.cameras["b ö"].sensor_width == pytest.approx(36, rel=1e-5)
    # where the camera of the start-up scene stands
    bpy.context.view_layer.update()
    looks = bpy.data.objects["a"].matrix_world
    assert (looks.inverted() @ Matrix.Identity(4).translation).z < -5
    place = Matrix.Translation((1, 2, 3)) @ Matrix.Rotation(0.5, 4, "X")
    (item,) = photo_edit.add_photos(bpy.context.scene, [str(tmp_path / "c.png")], "", True, place)
    bpy.context.view_layer.update()
    assert (item.camera.matrix_world.translation - Vector((1, 2, 3))).length < 1e-6
    assert item.camera.rotation_euler.x == pytest.approx(0.5, abs=1e-6)
    listed().remove(2)
    # the same again goes to the same cameras
    add(*files, new_camera=True)
    assert len(listed()) == 2


def test_nothing_chosen_is_an_error_message() -> None:
    with pytest.raises(RuntimeError, match="No photo was chosen"):
        bpy.ops.likeness.photo_add()


def test_undo_of_add_takes_photo_and_camera_back(tmp_path: Path, undo: None) -> None:
    file = photo_file(tmp_path / "a.png")
    bpy.ops.likeness.photo_add("EXEC_DEFAULT", True, filepath=str(file), new_camera=True)
    assert "a" in bpy.data.objects
    bpy.ops.ed.undo()
    assert not len(listed())
    assert "a" not in bpy.data.objects
    assert "a" not in bpy.data.cameras


def test_the_list_says_what_a_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = photo_file(tmp_path / "ä.png")
    add(file)
    item = listed()[0]
    assert (item.summary, item.problem) == ("60 x 40, sRGB", "")
    item.path = ""
    assert item.problem == "No file is chosen"
    item.path = str(file)
    monkeypatch.setattr(photo_files, "_LOOK_AGAIN", 0.0)
    photo_file(file, (30, 50))
    assert item.summary == "30 x 50, sRGB"
    file.unlink()
    assert (item.summary, item.thumbnail) == ("", 0)
    assert "no file" in item.problem


@pytest.mark.parametrize(("name", "content", "reason"), [
    ("empty.png", b"", "0 bytes"), ("notes.txt", b"Dear diary", "no JPEG"), ("cut.jpg", b"\xff\xd8\xff", "too early"),
])  # fmt: skip
def test_files_that_are_no_photos_are_named(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    add(tmp_path / name)
    assert reason in listed()[0].problem
    assert listed()[0].thumbnail == 0
    images, size = len(bpy.data.images), bpy.context.scene.render.resolution_x
    for operator in (bpy.ops.likeness.photo_show, bpy.ops.likeness.camera_from_exif):
        with pytest.raises(RuntimeError, match=reason) as caught:
            operator()
        assert "Traceback" not in str(caught.value)
    assert (len(bpy.data.images), bpy.context.scene.render.resolution_x) == (images, size)


def test_thumbnails_are_loaded_once_and_freed(tmp_path: Path) -> None:
    add(photo_file(tmp_path / "a.png"))
    for _ in range(3):
        assert listed()[0].thumbnail >= 0  # icons have no numbers in background mode
    (previews,) = photo_files._previews
    (preview,) = previews.values()
    assert tuple(preview.image_size) == (60, 40)
    likeness.unregister()
    assert not photo_files._previews
    likeness.register()


def test_a_saved_file_keeps_relative_paths(tmp_path: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "ü" / ".." / "scene.blend"), check_existing=False)
    add(photo_file(tmp_path / "photos" / "ä.png"))
    assert listed()[0].path == "//photos/ä.png"
    assert listed()[0].summary == "60 x 40, sRGB"
    bpy.ops.likeness.photo_show()
    assert bpy.context.scene.camera.data.background_images[0].image.filepath == "//photos/ä.png"


def test_order_copies_and_use(tmp_path: Path) -> None:
    settings = bpy.context.scene.likeness
    add(*(photo_file(tmp_path / f"{name}.png") for name in "abc"))
    bpy.ops.likeness.photo_move(direction="UP")
    assert names() == ["a", "c", "b"]
    for _ in range(3):
        bpy.ops.likeness.photo_move(direction="UP")
    assert (names(), settings.active_photo) == (["c", "a", "b"], 0)
    item = settings.photos[0]
    path = item.path
    item.weight, item.mask_source, item.mask_object = 0.25, "OBJECT", bpy.data.objects["Cube"]
    item.white_balance = (1.5, 1.0, 0.5)
    bpy.ops.likeness.photo_duplicate()
    assert (names(), settings.active_photo) == (["c", "c.001", "a", "b"], 1)
    copy = settings.photos[1]
    assert (copy.weight, copy.mask_source, copy.mask_object.name) == (0.25, "OBJECT", "Cube")
    assert (tuple(copy.white_balance), copy.path, copy.camera.name) == ((1.5, 1.0, 0.5), path, "Camera")
    bpy.ops.likeness.photos_enable(enable=False)
    assert not any(item.enabled for item in settings.photos)
    bpy.ops.likeness.photos_enable(enable=True)
    assert all(item.enabled for item in settings.photos)


def test_missing_photos_leave_the_list(tmp_path: Path) -> None:
    add(*(photo_file(tmp_path / f"{name}.png") for name in "abcd"))
    bpy.context.scene.likeness.active_photo = 2
    assert bpy.ops.likeness.photos_remove_missing() == {"CANCELLED"}
    for name in "bd":
        (tmp_path / f"{name}.png").unlink()
    bpy.ops.likeness.photos_remove_missing()
    assert names() == ["a", "c"]
    assert bpy.context.scene.likeness.active_photo == 1


def test_missing_photos_are_found_again(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    add(*(photo_file(old / day / "ö.png") for day in ("monday", "tuesday")))  # directory is the first one's
    listed().clear()
    for day in ("monday", "tuesday"):
        photo_list.add_photo(bpy.context.scene, "Camera", str(photo_file(old / day / "ö.png")))
    listed()[0].mask_path = str(photo_file(old / "mask.png"))
    photo_list.add_photo(bpy.context.scene, "Camera", "C:\\photos\\last.jpg")
    photo_list.add_photo(bpy.context.scene, "Camera", str(tmp_path / "never.png"))
    listed()[2].path = "C:\\photos\\last.jpg"
    old.rename(new)
    photo_file(new / "sub" / "LAST.JPG", format="JPEG")
    (new / "tuesday" / "ö.png").rename(new / "tuesday" / unicodedata.normalize("NFD", "ö.png"))
    assert bpy.ops.likeness.photos_relocate(directory=str(new)) == {"FINISHED"}
    assert [item.problem for item in listed()][:3] == ["", "", ""]
    assert "monday" in listed()[0].path
    assert "tuesday" in listed()[1].path
    assert listed()[0].mask_path == str(new / "mask.png")
    assert listed()[3].path == str(tmp_path / "never.png")
    with pytest.raises(RuntimeError, match=r"never\.png"):
        bpy.ops.likeness.photos_relocate(directory=str(new))
    with pytest.raises(RuntimeError, match="no folder"):
        bpy.ops.likeness.photos_relocate(directory=str(old))


def test_background_images_become_photos(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"No camera .* has a background image"):
        bpy.ops.likeness.photo_from_background()
    for name in ("Camera", "Zweite"):
        data = (bpy.data.objects.get(name) or camera(name)).data
        background = data.background_images.new()
        background.image = bpy.data.images.load(str(photo_file(tmp_path / f"{name} ä.png")))
    hidden = data.background_images.new()
    hidden.image, hidden.show_background_image = bpy.data.images["Camera ä.png"], False
    data.background_images.new().image = bpy.data.images.new("painted", 8, 8)
    data.background_images.new()
    assert bpy.ops.likeness.photo_from_background() == {"FINISHED"}
    found = {(item.camera.name, item.name) for item in listed()}
    assert found == {("Camera", "Camera ä"), ("Zweite", "Zweite ä")}
    bpy.ops.likeness.photo_from_background()
    assert len(listed()) == 2


def test_a_camera_that_was_deleted_is_named(tmp_path: Path) -> None:
    add(photo_file(tmp_path / "a.png"))
    obj = bpy.data.objects["Camera"]
    with bpy.context.temp_override(selected_objects=[obj]):
        bpy.ops.object.delete()
    item = listed()[0]
    assert item.camera is not None  # the photo keeps it alive
    assert not item.in_scene
    with pytest.raises(SceneError, match=r'photo 1 "a" .* the camera "Camera", which is not in the scene'):
        photo_list.read_photos(bpy.context.scene)
    for operator in (bpy.ops.likeness.photo_show, bpy.ops.likeness.camera_from_exif):
        with pytest.raises(RuntimeError, match="not in the scene") as caught:
            operator()
        assert "Traceback" not in str(caught.value)
    with pytest.raises(SceneError, match="not in the scene"):
        api.make_plan(bpy.context.scene, FitSettings([Target("base_color")]))
    bpy.data.objects.remove(obj)
    with pytest.raises(RuntimeError, match="no camera"):
        bpy.ops.likeness.photo_show()


@pytest.mark.parametrize(
    ("source", "path", "alpha", "name"),
    [
        ("AUTO", "m.png", True, ""),
        ("NONE", None, False, ""),
        ("FILE", "m.png", False, ""),
        ("ALPHA", None, True, ""),
        ("OBJECT", None, True, "Cube"),
    ],
)
def test_masks_as_the_engine_reads_them(tmp_path: Path, source: str, path: str | None, alpha: bool, name: str) -> None:
    add(photo_file(tmp_path / "a.png"))
    item = listed()[0]
    assert item.mask_source == "AUTO"
    item.mask_source, item.mask_path = source, str(tmp_path / "m.png")
    item.mask_object = bpy.data.objects["Cube"]
    (read,) = photo_list.read_photos(bpy.context.scene)
    assert isinstance(read, Photo)
    assert read.mask_path == (str(tmp_path / path) if path else None)
    assert (read.use_alpha, read.mask_object) == (alpha, name)
    photo_list.set_mask(bpy.context.scene, "Camera", str(tmp_path / "n.png"))
    assert photo_list.read_photos(bpy.context.scene)[0].mask_path == str(tmp_path / "n.png")
    item.mask_source, item.mask_object = "OBJECT", None
    with pytest.raises(SceneError, match="no mask object"):
        photo_list.read_photos(bpy.context.scene)


def test_empty_lists_are_greyed_out() -> None:
    for name in ("photo_remove", "photo_move", "photo_duplicate", "photos_enable", "photos_remove_missing",
                 "photos_relocate", "photo_show", "camera_from_exif"):  # fmt: skip
        assert not getattr(bpy.ops.likeness, name).poll()
