# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and saving: whole or not at all, never over the input."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
import pytest

from likeness.bridge.open_save import new_file, open_blend, save_blend
from likeness.bridge.photo_list import absolute_path, add_photo, settings
from likeness.engine.errors import OutputError, SceneError
from tests.bridge.probe import top_camera

pytestmark = pytest.mark.usefixtures("empty_file")


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_round_trip_and_the_open_file_keeps_its_name(tmp_path: Path) -> None:
    new_file()
    bpy.context.scene.name = "Szene ä"
    save_blend(tmp_path / "eins.blend")
    assert bpy.data.filepath == ""
    assert open_blend(tmp_path / "eins.blend").name == "Szene ä"
    save_blend(tmp_path / "zwei.blend")
    assert Path(bpy.data.filepath) == tmp_path / "eins.blend"
    assert _files(tmp_path) == {"eins.blend", "zwei.blend"}


def test_relative_paths_hold_in_the_new_place(tmp_path: Path) -> None:
    (tmp_path / "a" / "photos").mkdir(parents=True)
    (tmp_path / "b" / "c").mkdir(parents=True)
    top_camera()
    save_blend(tmp_path / "a" / "scene.blend")
    scene = open_blend(tmp_path / "a" / "scene.blend")
    item = add_photo(scene, "Top", str(tmp_path / "a" / "photos" / "1.jpg"), mask=str(tmp_path / "a" / "m.png"))
    assert item.path == "//photos/1.jpg"
    image = bpy.data.images.new("Texture", 4, 4)
    image.source, image.filepath, image.use_fake_user = "FILE", "//photos/texture.png", True
    save_blend(tmp_path / "b" / "c" / "out.blend")
    assert item.path == "//photos/1.jpg", "the open file is unchanged"
    (again,) = settings(open_blend(tmp_path / "b" / "c" / "out.blend")).photos
    assert again.path.startswith("//")
    assert absolute_path(again.path) == str(tmp_path / "a" / "photos" / "1.jpg")
    assert absolute_path(again.mask_path) == str(tmp_path / "a" / "m.png")
    assert absolute_path(bpy.data.images["Texture"].filepath) == str(tmp_path / "a" / "photos" / "texture.png")


def test_the_input_is_never_overwritten(tmp_path: Path) -> None:
    save_blend(tmp_path / "in.blend")
    open_blend(tmp_path / "in.blend")
    content = (tmp_path / "in.blend").read_bytes()
    (tmp_path / "link.blend").symlink_to(tmp_path / "in.blend")
    for name in ("in.blend", "../" + tmp_path.name + "/in.blend", "link.blend"):
        with pytest.raises(OutputError, match="input file"):
            save_blend(tmp_path / name)
    assert (tmp_path / "in.blend").read_bytes() == content


def test_places_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder.blend").mkdir()
    for name, words in (("folder.blend", "is a folder"), ("no/where.blend", "does not exist"), ("a.png", "blend")):
        with pytest.raises(OutputError, match=words):
            save_blend(tmp_path / name)
    assert _files(tmp_path) == {"folder.blend"}


def test_a_full_disk_is_noticed_before_writing(full_disk: Path) -> None:
    with pytest.raises(OutputError, match="free"):
        save_blend(full_disk / "out.blend")
    assert _files(full_disk) == set()


@contextmanager
def small_files() -> Iterator[None]:
    """The operating system refuses to write more than 16 KiB into a file.

    No fixture: pytest itself may be writing into a file, and must be able to when it reports the test.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 * 1024, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out.blend").write_text("the old result")
    noise = bpy.data.images.new("Noise", 64, 64, float_buffer=True)
    noise.pixels.foreach_set(np.random.default_rng(0).random(64 * 64 * 4).astype(np.float32))
    noise.pack()
    with small_files(), pytest.raises(OutputError, match="cannot be written"):
        save_blend(tmp_path / "out.blend")
    assert (tmp_path / "out.blend").read_text() == "the old result"
    assert _files(tmp_path) == {"out.blend"}


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "empty.blend").write_bytes(b"")
    (tmp_path / "text.blend").write_text("this is no blend file\n" * 100)
    for name, words in (
        ("fehlt.blend", "does not exist"),
        ("", "folder"),
        ("empty.blend", "empty"),
        ("text.blend", "text"),
    ):
        with pytest.raises(SceneError, match=words):
            open_blend(tmp_path / name)


def test_scripts_in_a_file_do_not_run(tmp_path: Path) -> None:
    text = bpy.data.texts.new("script.py")
    text.write(f"open({str(tmp_path / 'ran')!r}, 'w')")
    text.use_module = True
    save_blend(tmp_path / "script.blend")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    open_blend(tmp_path / "script.blend")
    assert "script.py" in bpy.data.texts
    assert not os.path.exists(tmp_path / "ran")
