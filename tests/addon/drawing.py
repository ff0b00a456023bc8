# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing a panel without a window: a layout that writes down what is put into it.

Blender draws no sidebar in background mode. Data, properties and operators are the real ones, and each call is checked
against Blender's own description of it: what Blender would refuse raises here too.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import bpy

_LAYOUT = bpy.types.UILayout.bl_rna
_FUNCTIONS = _LAYOUT.functions
_ICONS = {item.identifier for item in _FUNCTIONS["label"].parameters["icon"].enum_items}


class Drawn(NamedTuple):
    """A property, operator, menu or label that was drawn, and the text that it shows."""

    what: str
    identifier: str
    text: str


class Layout:
    """Stands for a UILayout and everything below it; ``drawn`` is what was put there, in order."""

    drawn: list[Drawn]

    def __init__(self, drawn: list[Drawn]) -> None:
        object.__setattr__(self, "drawn", drawn)

    def __setattr__(self, name: str, value: Any) -> None:
        assert not _LAYOUT.properties[name].is_readonly, name

    def __getattr__(self, name: str) -> Any:
        function = _FUNCTIONS[name]  # a KeyError where there is no such call

        def call(*arguments: Any, **options: Any) -> Any:
            assert {*options} <= {*function.parameters.keys()}
            assert options.get("icon", "NONE") in _ICONS
            result = self._note(name, arguments, options.get("text"))
            if result is not None:
                return result
            below = Layout(self.drawn)
            return (below, below) if name == "panel" else below  # header and body, which is open here

        return call

    def _note(self, name: str, arguments: tuple[Any, ...], text: str | None) -> Any:
        if name == "template_list":
            assert arguments[3] in arguments[2].bl_rna.properties
            assert arguments[5] in arguments[4].bl_rna.properties
        elif name == "prop":
            data, identifier = arguments
            shown = data.bl_rna.properties[identifier].name
            self.drawn.append(Drawn(name, identifier, shown if text is None else text))
        elif name == "operator":
            kind = _operator(arguments[0])
            self.drawn.append(Drawn(name, arguments[0], kind.name if text is None else text))
            known = [prop.identifier for prop in kind.properties if prop.identifier != "rna_type"]
            return type("Properties", (), {"__slots__": known})()
        elif name == "operator_enum":
            items = _operator(arguments[0]).properties[arguments[1]].enum_items
            self.drawn.extend(Drawn("operator", arguments[0], item.name) for item in items)
        elif name == "operator_menu_enum":
            assert arguments[1] in _operator(arguments[0]).properties
            self.drawn.append(Drawn("menu", arguments[0], text or ""))
        elif name == "menu":
            self.drawn.append(Drawn(name, arguments[0], text or ""))
        elif text is not None:
            self.drawn.append(Drawn(name, "", text))
        return None


def _operator(name: str) -> Any:
    """RNA type of a registered operator; KeyError for one that is not there."""
    room, _, short = name.partition(".")
    return getattr(getattr(bpy.ops, room), short).get_rna_type()


def draw(kind: type[Any], item: Any = None) -> list[Drawn]:
    """What a panel or menu shows now, or a list in the row of ``item``."""
    drawn: list[Drawn] = []
    owner = SimpleNamespace(layout=Layout(drawn))
    for name, function in vars(kind).items():
        if callable(function) and not name.startswith("__"):
            setattr(owner, name, function.__get__(owner))
    context = SimpleNamespace(
        scene=bpy.context.scene,
        window_manager=bpy.context.window_manager,
        region=SimpleNamespace(width=300),
        preferences=bpy.context.preferences,
    )
    if item is None:
        owner.draw(context)
    else:
        owner.draw_item(context, owner.layout, None, item, 0, None, "")
    return drawn


def texts(drawn: list[Drawn]) -> list[tuple[str, str]]:
    """What kind of thing shows which text."""
    return [(entry.what, entry.text) for entry in drawn]


def words(kind: str, item: Any = None) -> list[str]:
    """Identifiers and texts that a registered panel, menu or list shows."""
    found = draw(getattr(bpy.types, kind), item)
    return [word for entry in found for word in (entry.identifier, entry.text) if word]
