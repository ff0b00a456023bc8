# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open in Blender, for callers that do not touch datablocks themselves."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..engine.errors import SceneError


def open_file() -> Path | None:
    """The .blend that is open, None for a scene that was never saved."""
    return Path(bpy.data.filepath) if bpy.data.filepath else None


def current_scene() -> bpy.types.Scene:
    """The scene of the open file that its window showed last."""
    return bpy.context.scene


def scene_named(name: str) -> bpy.types.Scene:
    """The scene of that name: pointers to it die with every undo. Raises SceneError where it is gone."""
    scene = bpy.data.scenes.get(name)
    if scene is None:
        raise SceneError(f'Scene "{name}" is no longer in the file; undo its removal and apply again.')
    return scene


def require_object_mode() -> None:
    """Raise SceneError in a mode whose undo keeps only the edited mesh, bones or pixels, so that it could not take
    changed materials and lights back."""
    if bpy.context.mode not in ("OBJECT", "POSE"):
        active = bpy.context.view_layer.objects.active
        mode = bpy.context.mode.replace("_", " ").title()
        raise SceneError(
            f'"{active.name if active is not None else "An object"}" is in another mode ({mode}), in which undo could '
            "not take the result back. Switch to Object Mode, then apply"
        )


def camera_names(scene: bpy.types.Scene) -> list[str]:
    """Names of the scene's camera objects."""
    return [obj.name for obj in scene.objects if obj.type == "CAMERA"]


def active_camera(scene: bpy.types.Scene) -> str | None:
    """Name of the camera object that the scene renders with."""
    return scene.camera.name if scene.camera is not None else None
