# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of more than one line: labels do not wrap by themselves."""

from __future__ import annotations

import textwrap

import bpy

_LETTER = 7.0  # pixels of an average letter at a UI scale of 1
_EDGE = 60.0  # pixels of the sidebar that are not for text


def paragraph(layout: bpy.types.UILayout, context: bpy.types.Context, text: str, icon: str = "NONE") -> None:
    """Draw a text in as many lines as the region's width asks for; ``icon`` stands before the first."""
    scale = context.preferences.system.ui_scale or 1.0  # 0 where Blender has no window
    width = context.region.width if context.region is not None else 300
    letters = max(20, int((width / scale - _EDGE) / _LETTER))
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, letters)):
        column.label(text=line, icon="BLANK1" if number and icon != "NONE" else icon)
