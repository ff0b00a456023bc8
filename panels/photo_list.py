# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of photos."""

from __future__ import annotations

from typing import Any

import bpy


class LIKENESS_UL_photos(bpy.types.UIList):
    """Photos with their cameras."""

    def draw_item(
        self,
        _context: bpy.types.Context,
        layout: bpy.types.UILayout,
        _data: Any,
        item: Any,
        _icon: int,
        _active_data: Any,
        _active_property: str,
        _index: int = 0,
        _flag: int = 0,
    ) -> None:
        row = layout.row(align=True)
        row.active = item.enabled
        row.prop(item, "enabled", text="")
        row.label(text=item.name, icon="IMAGE_DATA")
        row.label(text=item.camera.name if item.camera else "no camera", icon="CAMERA_DATA" if item.camera else "ERROR")
        row.label(text="", icon="MOD_MASK" if item.mask_path else "BLANK1")


CLASSES = (LIKENESS_UL_photos,)
