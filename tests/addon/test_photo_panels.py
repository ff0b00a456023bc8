# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of the photo list ask Blender to draw."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from likeness.bridge import photo_list
from tests.addon.drawing import words
from tests.addon.test_photos import photo_file, remove_all_cameras

pytestmark = pytest.mark.usefixtures("addon")


def test_an_empty_list_says_what_to_do() -> None:
    remove_all_cameras()
    texts = words("LIKENESS_PT_photos")
    assert {"likeness.photo_add", "With New Cameras", "likeness.photo_from_background"} <= {*texts}
    assert any("Drop photos" in text for text in texts)


def test_the_active_photo_and_its_mask(tmp_path: Path) -> None:
    item = photo_list.add_photo(bpy.context.scene, "Camera", str(photo_file(tmp_path / "ä.png")))
    texts = words("LIKENESS_PT_photos")
    assert {"ä", "60 x 40, sRGB", "likeness.photo_show", "likeness.camera_from_exif", "mask_path"} <= {*texts}
    assert "mask_object" not in texts
    item.mask_source = "OBJECT"
    texts = words("LIKENESS_PT_photos")
    assert "mask_object" in texts
    assert "mask_path" not in texts
    item.mask_source = "ALPHA"
    assert any("No alpha" in text for text in words("LIKENESS_PT_photos"))
    item.path = str(photo_file(tmp_path / "clear.png", mode="RGBA"))
    assert not any("No alpha" in text for text in words("LIKENESS_PT_photos"))
    item.path = str(tmp_path / "gone.png")
    texts = words("LIKENESS_PT_photos")
    assert "likeness.photo_show" not in texts
    assert "gone.png" in "".join(texts)
    assert len(words("LIKENESS_MT_photos")) >= 7


def test_the_rows_of_the_list(tmp_path: Path) -> None:
    item = photo_list.add_photo(bpy.context.scene, "Camera", str(photo_file(tmp_path / "ä.png")))
    for source in ("AUTO", "NONE", "FILE", "ALPHA", "OBJECT"):
        item.mask_source = source
        assert {"enabled", "name", "Camera"} <= {*words("LIKENESS_UL_photos", item=item)}
    item.camera = None
    assert "no camera" in words("LIKENESS_UL_photos", item=item)
