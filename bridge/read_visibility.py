# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rays see an object: ray visibility, holdouts, indirect-only collections."""

from __future__ import annotations

from typing import Any

import bpy

from .notes import Notes


def read_visibility(
    obj: bpy.types.Object, instancer: bpy.types.Object | None, depsgraph: bpy.types.Depsgraph, notes: Notes
) -> dict[str, bool]:
    """Fields of :class:`engine.scene.Mesh` for an original object, or for what `instancer` shows of it.

    As Cycles has it, an instance is seen by the rays that see both itself and its instancer; collections count for the
    instancer.
    """
    owner = instancer or obj
    diffuse, glossy = _seen(obj, instancer, "diffuse"), _seen(obj, instancer, "glossy")
    if diffuse != glossy:
        hidden = "glossy" if diffuse else "diffuse"
        notes.approximated(obj, f"is invisible to {hidden} rays; rendered as visible to all rays of indirect light")
    if not _seen(obj, instancer, "transmission"):
        notes.approximated(obj, "is invisible to transmission rays; rendered as visible behind glass")
    if obj.is_shadow_catcher or owner.is_shadow_catcher:
        notes.approximated(
            obj, "is a shadow catcher; rendered as an ordinary surface. Hide it from renders, or photograph it"
        )
    layer = depsgraph.view_layer
    return {
        "visible_camera": _seen(obj, instancer, "camera") and not _asked(owner.indirect_only_get, layer),
        "visible_shadow": _seen(obj, instancer, "shadow"),
        "visible_indirect": diffuse or glossy,
        "holdout": bool(owner.is_holdout or _asked(owner.holdout_get, layer)),
    }


def _seen(obj: bpy.types.Object, instancer: bpy.types.Object | None, rays: str) -> bool:
    name = f"visible_{rays}"
    return bool(getattr(obj, name)) and (instancer is None or bool(getattr(instancer, name)))


def _asked(question: Any, layer: bpy.types.ViewLayer) -> bool:
    return bool(question(view_layer=layer))
