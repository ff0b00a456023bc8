# SPDX-License-Identifier: GPL-3.0-or-later
"""Camera objects -> :class:`engine.scene.Camera`. All cameras of the scene, not only the active one.

Traps handled here: Cycles removes the object's scale column by column; a camera that is hidden from renders can still
be rendered through; an object outside the view layer is not evaluated.
"""

from __future__ import annotations

from collections import Counter

import bpy
import numpy as np

from ..engine.errors import SceneError
from ..engine.scene import Camera
from . import versions
from .notes import Notes, label

DISTORTION = "likeness_distortion"  # custom property of camera datablocks: k1, k2, p1, p2, k3


def read_cameras(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph, notes: Notes) -> dict[str, Camera]:
    """All perspective and orthographic cameras by object name."""
    cameras: dict[str, Camera] = {}
    for obj, key in camera_keys(scene).items():
        data = obj.data
        if data.type not in {"PERSP", "ORTHO"}:
            kind = {"PANO": "panoramic"}.get(data.type, data.type.lower())
            notes.ignored(
                obj, f"a {kind} camera cannot take a photo. Set its lens to Perspective or Orthographic to use it"
            )
            continue
        if data.dof.use_dof:
            notes.approximated(data, "depth of field is left out: it is a pinhole, everything is sharp")
        cameras[key] = Camera(
            name=key,
            matrix=_matrix_without_scale(obj, depsgraph),
            kind=data.type,
            lens=float(data.lens),
            sensor_width=float(data.sensor_width),
            sensor_height=float(data.sensor_height),
            sensor_fit=data.sensor_fit,
            shift_x=float(data.shift_x),
            shift_y=float(data.shift_y),
            ortho_scale=float(data.ortho_scale),
            clip_start=float(data.clip_start),
            clip_end=float(data.clip_end),
            data_name=data.name_full,
            distortion=_distortion(data),
            pose_obstacle=pose_obstacle(obj),
            lens_obstacle=lens_obstacle(data),
        )
    return cameras


def camera_keys(scene: bpy.types.Scene) -> dict[bpy.types.Object, str]:
    """The scene's camera objects with their keys in ``Scene.cameras``: their names; full names where two are called
    the same, of which at most one is local."""
    cameras = [obj for obj in scene.objects if obj.type == "CAMERA"]
    count = Counter(obj.name for obj in cameras)
    return {obj: obj.name if count[obj.name] == 1 else obj.name_full for obj in cameras}


def pose_obstacle(obj: bpy.types.Object) -> str:
    """Why the place of a camera cannot be written, and what to do; "" where it can. A parent is no obstacle."""
    if obj.library is not None:
        return f"{label(obj)} is linked from another file. Make it local to fit its pose."
    if any(not constraint.mute and constraint.influence > 0 for constraint in obj.constraints):
        return f"{label(obj)} has constraints, which decide where it is. Apply or mute them to fit its pose."
    if _animated(obj, ("location", "rotation", "delta_", "scale")):
        return f"{label(obj)} is animated or driven. Remove the keyframes of its place and rotation to fit its pose."
    return ""


def lens_obstacle(data: bpy.types.Camera) -> str:
    """The same of a camera datablock and its lens."""
    if data.library is not None or data.override_library is not None:
        return f"{label(data)} is linked from another file. Make it local to fit its lens."
    if _animated(data, ("lens", "shift_", "ortho_scale", "sensor_")):
        return f"{label(data)} is animated or driven. Remove the keyframes of its lens to fit it."
    return ""


def _animated(owner: bpy.types.ID, paths: tuple[str, ...]) -> bool:
    """Whether a keyframe or driver decides a property whose path begins so."""
    animation = owner.animation_data
    if animation is None:
        return False
    curves = [*animation.drivers, *versions.action_curves(animation)]
    return any(curve.data_path.startswith(paths) and not curve.mute for curve in curves)


def _distortion(data: bpy.types.Camera) -> tuple[float, float, float, float, float] | None:
    """k1, k2, p1, p2, k3 that an earlier fit has kept with the camera."""
    stored = data.get(DISTORTION)
    if stored is None:
        return None
    k1, k2, p1, p2, k3 = (float(value) for value in stored)
    return k1, k2, p1, p2, k3


def _matrix_without_scale(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> np.ndarray:
    """Camera-to-world matrix [4, 4] float64 with unit columns."""
    matrix = np.array(obj.evaluated_get(depsgraph).matrix_world, np.float64)
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or (lengths < 1e-12).any():
        raise SceneError(f"{label(obj)}: camera with zero scale or NaN in its transform. Clear its scale with Alt-S")
    matrix[:3, :3] /= lengths
    return matrix
