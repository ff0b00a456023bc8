# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing a panel without a window: a layout that writes down what is put into it.

Blender draws no sidebar in background mode. Data, properties and operators are the real ones, and what a layout does
not know raises here as it does in Blender.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import bpy

_SETTINGS = {"enabled", "active", "alert", "scale_y", "scale_x", "use_property_split", "use_property_decorate"}


class Layout:
    """Stands for a UILayout and everything below it; ``drawn`` holds (what, text) in order."""

    def __init__(self, drawn: list[tuple[str, str]]) -> None:
        object.__setattr__(self, "drawn", drawn)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name in _SETTINGS, name

    def column(self, **_options: Any) -> Layout:
        return Layout(self.drawn)

    row = box = grid_flow = column

    def label(self, text: str = "", icon: str = "NONE") -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.drawn.append(("label", text))

    def prop(self, data: Any, name: str, text: str | None = None, icon: str = "NONE", **_options: Any) -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.drawn.append(("prop", data.bl_rna.properties[name].name if text is None else text))

    def operator(self, name: str, text: str | None = None, icon: str = "NONE", **_options: Any) -> Any:
        kind = _operator(name)
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.drawn.append(("operator", kind.name if text is None else text))
        known = [prop.identifier for prop in kind.properties]
        return SimpleNamespace(**dict.fromkeys(known))

    def operator_enum(self, name: str, prop: str) -> None:
        self.drawn.extend(("operator", item.name) for item in _operator(name).properties[prop].enum_items)

    def operator_menu_enum(self, name: str, prop: str, text: str = "") -> None:
        assert prop in _operator(name).properties
        self.drawn.append(("menu", text))


def _operator(name: str) -> Any:
    """RNA type of a registered operator; KeyError for one that is not there."""
    room, _, short = name.partition(".")
    return getattr(getattr(bpy.ops, room), short).get_rna_type()


def draw(panel: type[bpy.types.Panel]) -> list[tuple[str, str]]:
    """What a panel shows now."""
    drawn: list[tuple[str, str]] = []
    pretended = SimpleNamespace(layout=Layout(drawn))
    for name, function in vars(panel).items():
        if callable(function) and not name.startswith("__"):
            setattr(pretended, name, function.__get__(pretended))
    pretended.draw(bpy.context)
    return drawn
