# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels of the photo list ask Blender to draw. Blender draws nothing in background mode: a layout that only
listens checks each call against Blender's own description of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

from likeness.bridge import photo_list
from tests.addon.test_photos import photo_file, remove_all_cameras

pytestmark = pytest.mark.usefixtures("addon")

_FUNCTIONS = bpy.types.UILayout.bl_rna.functions
_ICONS = {item.identifier for item in _FUNCTIONS["label"].parameters["icon"].enum_items}


class Layout:
    """A UILayout that notes texts, properties and operators, and refuses what Blender would not draw."""

    def __init__(self, drawn: list[str] | None = None) -> None:
        self.drawn: list[str] = [] if drawn is None else drawn

    def __getattr__(self, name: str) -> Any:
        function = _FUNCTIONS[name]  # a KeyError where there is no such call

        def call(*arguments: Any, **options: Any) -> Any:
            assert {*options} <= {*function.parameters.keys()}
            assert options.get("icon", "NONE") in _ICONS
            if name in ("prop", "template_list"):
                for data, prop in zip(arguments[::2], arguments[1::2], strict=False):
                    assert name == "template_list" or prop in data.bl_rna.properties
            if name in ("prop", "operator", "menu"):
                self.drawn.append(arguments[1] if name == "prop" else arguments[0])
            if "text" in options:
                self.drawn.append(options["text"])
            if name == "operator":
                group, _, last = arguments[0].partition(".")
                known = getattr(getattr(bpy.ops, group), last).get_rna_type().properties
                return type("Properties", (), {"__slots__": [prop.identifier for prop in known[1:]]})()
            below = Layout(self.drawn)
            return (below, below) if name == "panel" else below  # header and body, which is open here

        return call


def drawn(panel: str, **data: Any) -> list[str]:
    layout = Layout()
    owner = SimpleNamespace(layout=layout)
    context = SimpleNamespace(
        scene=bpy.context.scene, region=SimpleNamespace(width=300), preferences=bpy.context.preferences
    )
    cls = getattr(bpy.types, panel)
    if data:
        cls.draw_item(owner, context, layout, None, data["item"], 0, None, "")
    else:
        cls.draw(owner, context)
    return layout.drawn


def test_an_empty_list_says_what_to_do() -> None:
    remove_all_cameras()
    texts = drawn("LIKENESS_PT_photos")
    assert {"likeness.photo_add", "With New Cameras", "likeness.photo_from_background"} <= {*texts}
    assert any("Drop photos" in text for text in texts)


def test_the_active_photo_and_its_mask(tmp_path: Path) -> None:
    item = photo_list.add_photo(bpy.context.scene, "Camera", str(photo_file(tmp_path / "ä.png")))
    texts = drawn("LIKENESS_PT_photos")
    assert {"ä", "60 x 40, sRGB", "likeness.photo_show", "likeness.camera_from_exif", "mask_path"} <= {*texts}
    assert "mask_object" not in texts
    item.mask_source = "OBJECT"
    texts = drawn("LIKENESS_PT_photos")
    assert "mask_object" in texts
    assert "mask_path" not in texts
    item.mask_source = "ALPHA"
    assert any("No alpha" in text for text in drawn("LIKENESS_PT_photos"))
    item.path = str(photo_file(tmp_path / "clear.png", mode="RGBA"))
    assert not any("No alpha" in text for text in drawn("LIKENESS_PT_photos"))
    item.path = str(tmp_path / "gone.png")
    texts = drawn("LIKENESS_PT_photos")
    assert "likeness.photo_show" not in texts
    assert "gone.png" in "".join(texts)
    assert len(drawn("LIKENESS_MT_photos")) >= 7


def test_the_rows_of_the_list(tmp_path: Path) -> None:
    item = photo_list.add_photo(bpy.context.scene, "Camera", str(photo_file(tmp_path / "ä.png")))
    for source in ("AUTO", "NONE", "FILE", "ALPHA", "OBJECT"):
        item.mask_source = source
        assert {"enabled", "name", "Camera"} <= {*drawn("LIKENESS_UL_photos", item=item)}
    item.camera = None
    assert "no camera" in drawn("LIKENESS_UL_photos", item=item)
