# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of a scene."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.props import (
    BoolProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from ..bridge import photo_files, versions


def _is_camera(photo: bpy.types.PropertyGroup, obj: bpy.types.Object) -> bool:
    return obj.type == "CAMERA" and photo.id_data in obj.users_scene


def _has_surface(photo: bpy.types.PropertyGroup, obj: bpy.types.Object) -> bool:
    return obj.type in {"MESH", "CURVE", "SURFACE", "META", "FONT"} and photo.id_data in obj.users_scene


# Functions with names: Blender evaluates annotations where a lambda would not find this module.
def _summary(photo: Any) -> str:
    return photo_files.summary(photo.path)


def _problem(photo: Any) -> str:
    return photo_files.problem(photo.path)


def _thumbnail(photo: Any) -> int:
    return photo_files.thumbnail(photo.path)


def _has_alpha(photo: Any) -> bool:
    return photo_files.has_alpha(photo.path)


def _in_scene(photo: Any) -> bool:
    return photo.camera is not None and photo.id_data in photo.camera.users_scene


class LikenessPhoto(bpy.types.PropertyGroup):
    """One photo of the scene and the camera that took it."""

    camera: PointerProperty(
        type=bpy.types.Object,
        name="Camera",
        description="Camera that took the photo. Its lens and shift apply to the photo's own width and height",
        poll=_is_camera,
    )
    path: StringProperty(
        name="Photo",
        description="Image file: JPEG, PNG, TIFF or WebP as the camera made it, or a scene-linear EXR or HDR",
        subtype="FILE_PATH",
        options=versions.path_options(),
    )
    mask_source: EnumProperty(
        name="Mask",
        description="Which part of the photo counts",
        items=(
            ("AUTO", "Automatic", "The photo's own alpha channel and the mask file, where there are any"),
            ("NONE", "None", "The whole photo counts, transparent parts, too"),
            ("FILE", "File", "What is white in the mask file counts"),
            ("ALPHA", "Alpha", "What is opaque in the photo's own alpha channel counts"),
            ("OBJECT", "Object", "Only what shows one object counts, where nothing else of the scene is before it"),
        ),
        default="AUTO",
    )
    mask_object: PointerProperty(
        type=bpy.types.Object,
        name="Mask Object",
        description="The photo counts only where its camera sees this object first",
        poll=_has_surface,
    )
    mask_path: StringProperty(
        name="Mask File",
        description="Image file that is white where the photo counts. Empty: the whole photo counts",
        subtype="FILE_PATH",
        options=versions.path_options(),
    )
    enabled: BoolProperty(name="Use", description="Use this photo in the fit", default=True)
    weight: FloatProperty(
        name="Weight",
        description="How much this photo counts, compared with the others",
        default=1.0,
        min=0.0,
        soft_max=10.0,
    )
    exposure: FloatProperty(
        name="Exposure",
        description="Stops that the photo is brighter than the scene's own exposure. Fitted by Exposure, else fixed",
        default=0.0,
        soft_min=-10.0,
        soft_max=10.0,
    )
    white_balance: FloatVectorProperty(
        name="White Balance",
        description="Red, green, blue gain of the photo compared with the scene. Fitted by White Balance, else fixed",
        default=(1.0, 1.0, 1.0),
        min=0.001,
        soft_max=4.0,
        size=3,
    )

    # What is known of the file at this moment; read when it is asked for, never stored.
    summary: StringProperty(
        name="File",
        description="Size, colors and focal length of the photo, as its file says",
        get=_summary,
    )
    problem: StringProperty(
        name="Problem",
        description="Why the file cannot be used; empty where it can",
        get=_problem,
    )
    thumbnail: IntProperty(
        name="Thumbnail",
        description="Number of the icon that shows the photo",
        get=_thumbnail,
    )
    has_alpha: BoolProperty(name="Alpha", description="Whether the file has an alpha channel", get=_has_alpha)
    in_scene: BoolProperty(
        name="Camera in Scene",
        description="Whether the photo has a camera that is in the scene",
        get=_in_scene,
    )


CLASSES = (LikenessPhoto,)
