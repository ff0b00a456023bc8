# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluating a scene at its render settings.

Python only gets a depsgraph in VIEWPORT mode: viewport subdivision levels, viewport visibility, viewport resolution.
:func:`render_evaluation` sets those to their render counterparts for a moment and puts everything back, also after an
error, so that the file is unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bpy

# (viewport property, render property) of a modifier
_MODIFIER_PAIRS = (
    ("show_viewport", "show_render"),
    ("levels", "render_levels"),
    ("steps", "render_steps"),
    ("viewport_resolution", "resolution"),
)
_CURVE_PAIRS = (("resolution_u", "render_resolution_u"), ("resolution_v", "render_resolution_v"))


class _Changes:
    """Attribute assignments that can be taken back in reverse order."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        if before == value:
            return
        try:
            setattr(owner, name, value)
        except (AttributeError, TypeError):  # read-only in linked data: evaluated as the viewport shows it
            return
        self._undo.append((owner, name, before))

    def take_back(self) -> None:
        while self._undo:
            owner, name, before = self._undo.pop()
            setattr(owner, name, before)


def _set_pairs(changes: _Changes, owner: Any, pairs: tuple[tuple[str, str], ...]) -> None:
    for viewport, render in pairs:
        if hasattr(owner, viewport) and hasattr(owner, render):
            value = getattr(owner, render)
            # a render resolution of 0 stands for "as in the viewport"
            if render.startswith("render_resolution") and value == 0:
                continue
            changes.set(owner, viewport, value)


def _layer_collections(root: bpy.types.LayerCollection) -> Iterator[bpy.types.LayerCollection]:
    yield root
    for child in root.children:
        yield from _layer_collections(child)


def _apply(changes: _Changes, scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer) -> list[bpy.types.Object]:
    """Set render values; returns the objects whose view-layer "eye" was closed and is now open."""
    render = scene.render
    changes.set(render, "simplify_subdivision", render.simplify_subdivision_render)
    changes.set(render, "simplify_child_particles", render.simplify_child_particles_render)
    for collection in [scene.collection, *bpy.data.collections]:
        changes.set(collection, "hide_viewport", collection.hide_render)
    for layer_collection in _layer_collections(view_layer.layer_collection):
        changes.set(layer_collection, "hide_viewport", False)
    for obj in bpy.data.objects:
        changes.set(obj, "hide_viewport", obj.hide_render)
        changes.set(obj, "show_instancer_for_viewport", obj.show_instancer_for_render)
        for modifier in obj.modifiers:
            _set_pairs(changes, modifier, _MODIFIER_PAIRS)
    for curve in bpy.data.curves:
        _set_pairs(changes, curve, _CURVE_PAIRS)
    for metaball in bpy.data.metaballs:
        changes.set(metaball, "resolution", metaball.render_resolution)
    hidden = [obj for obj in view_layer.objects if obj.hide_get(view_layer=view_layer)]
    for obj in hidden:
        obj.hide_set(False, view_layer=view_layer)
    return hidden


@contextmanager
def render_evaluation(
    scene: bpy.types.Scene, view_layer: bpy.types.ViewLayer | None = None
) -> Iterator[bpy.types.Depsgraph]:
    """The depsgraph of a view layer (default: the scene's first) evaluated as a render would.

    Data read from it is valid inside the ``with`` only.
    """
    view_layer = view_layer or scene.view_layers[0]
    for obj in scene.objects:
        if obj.mode == "EDIT":
            obj.update_from_editmode()
    changes = _Changes()
    hidden: list[bpy.types.Object] = []
    try:
        hidden = _apply(changes, scene, view_layer)
        view_layer.update()
        yield view_layer.depsgraph
    finally:
        for obj in hidden:
            obj.hide_set(True, view_layer=view_layer)
        changes.take_back()
        view_layer.update()
