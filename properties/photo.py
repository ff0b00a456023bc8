# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo of a scene."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, FloatProperty, FloatVectorProperty, PointerProperty, StringProperty

from ..bridge import versions


def _is_camera(_photo: bpy.types.PropertyGroup, obj: bpy.types.Object) -> bool:
    return obj.type == "CAMERA"


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
        description="Image file: JPEG, PNG or TIFF as the camera made it, or a scene-linear EXR or HDR",
        subtype="FILE_PATH",
        options=versions.path_options(),
    )
    mask_path: StringProperty(
        name="Mask",
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


CLASSES = (LikenessPhoto,)
