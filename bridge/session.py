# SPDX-License-Identifier: GPL-3.0-or-later
"""What is open in Blender, for callers that do not touch datablocks themselves."""

from __future__ import annotations

import uuid
from pathlib import Path

import bpy

from ..engine.errors import SceneError
from .photo_list import settings


def open_file() -> Path | None:
    """The .blend that is open, None for a scene that was never saved."""
    return Path(bpy.data.filepath) if bpy.data.filepath else None


def current_scene() -> bpy.types.Scene:
    """The scene of the open file that its window showed last."""
    return bpy.context.scene


def scene_uid(scene: bpy.types.Scene, uid: str = "") -> str:
    """The identity of a scene; one that has none gets ``uid``, or a new one. Copies of the scene get another."""
    stored = settings(scene)
    if not stored.uid:
        stored.uid = uid or uuid.uuid4().hex
    for other in bpy.data.scenes:
        if other != scene and settings(other).uid == stored.uid and not other.library:
            settings(other).uid = uuid.uuid4().hex
    return stored.uid


def has_scene(uid: str) -> bool:
    """Whether a scene of the open file has this identity."""
    return bool(uid) and any(settings(scene).uid == uid for scene in bpy.data.scenes)


def scene_named(name: str, uid: str = "") -> bpy.types.Scene:
    """The scene of that name, or of that identity where one is given: pointers to it die with every undo.

    A scene that was renamed is found. Raises SceneError where it is gone, and where another scene took its name.
    """
    same = [scene for scene in bpy.data.scenes if uid and settings(scene).uid == uid]
    named = bpy.data.scenes.get(name)
    if named is not None and (named in same or not uid or not settings(named).uid):
        return named  # without an identity: an undo went back to before it had one
    if len(same) == 1 and named is None:
        return same[0]
    raise SceneError(f'Scene "{name}" is no longer in the file; undo its removal and apply again.')


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


def enter_object_mode() -> bpy.types.Object | None:
    """Leave the mode that the active object is in; returns it, or None where there was nothing to leave."""
    obj = bpy.context.view_layer.objects.active
    if obj is None or obj.mode == "OBJECT":
        return None
    bpy.ops.object.mode_set(mode="OBJECT")
    return obj


def camera_names(scene: bpy.types.Scene) -> list[str]:
    """Names of the scene's camera objects."""
    return [obj.name for obj in scene.objects if obj.type == "CAMERA"]


def active_camera(scene: bpy.types.Scene) -> str | None:
    """Name of the camera object that the scene renders with."""
    return scene.camera.name if scene.camera is not None else None
