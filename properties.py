# SPDX-License-Identifier: GPL-3.0-or-later
"""What Likeness stores in the .blend, as ``scene.likeness``: photo list, targets, settings.

Only plain properties and pointers: a file made with Likeness opens, renders and saves without it. Outside of the
add-on (command line, Python module) :func:`ensure_registered` makes the properties available for the process.
"""

from __future__ import annotations

import atexit

import bpy
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    FloatVectorProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .bridge import versions


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


class LikenessTargets(bpy.types.PropertyGroup):
    """What the fit may change."""

    base_color: BoolProperty(
        name="Base Color", description="Fit the base color of the materials as an image texture", default=True
    )
    roughness: BoolProperty(name="Roughness", description="Fit the roughness of the materials as an image texture")
    metallic: BoolProperty(
        name="Metallic", description="Fit the metallic value of the materials as an image texture. Only for metal parts"
    )
    normal: BoolProperty(name="Normal", description="Fit a tangent-space normal map of the materials")
    emission: BoolProperty(name="Emission", description="Fit the light that the materials send out")
    lights: BoolProperty(name="Lights", description="Fit power and color of the lights")
    world: BoolProperty(name="World", description="Fit the light that comes from all around as an environment image")
    world_strength: BoolProperty(
        name="World Strength", description="Fit how strong the light from all around is and keep its image or color"
    )
    exposure: BoolProperty(name="Exposure", description="Fit the exposure of each photo")
    white_balance: BoolProperty(name="White Balance", description="Fit the white balance of each photo")
    material: PointerProperty(
        type=bpy.types.Material,
        name="Only Material",
        description="Fit this material and leave the others as they are. Empty: all materials",
    )
    light: PointerProperty(
        type=bpy.types.Light,
        name="Only Light",
        description="Fit this light and leave the others as they are. Empty: all lights",
    )


class LikenessSettings(bpy.types.PropertyGroup):
    """Everything that Likeness stores on a scene."""

    photos: CollectionProperty(type=LikenessPhoto, name="Photos", description="Photos that the render shall look like")
    active_photo: IntProperty(name="Active Photo", description="Photo that is shown below the list", min=0)
    targets: PointerProperty(type=LikenessTargets, name="Targets", description="What the fit may change")
    iterations: IntProperty(
        name="Iterations",
        description="Steps of the fit. 0: chosen from the number of photos and targets",
        default=0,
        min=0,
        soft_max=5000,
    )
    resolution: IntProperty(
        name="Resolution",
        description="Longest side, in pixels, to which photos are reduced for the fit. More is sharper and slower",
        default=512,
        min=16,
        soft_max=4096,
        subtype="PIXEL",
    )
    texture_size: IntProperty(
        name="Texture Size",
        description="Width and height of new image textures in pixels",
        default=1024,
        min=16,
        soft_max=8192,
        subtype="PIXEL",
    )
    device: EnumProperty(
        name="Device",
        description="Where the fit is computed",
        items=(
            ("auto", "Automatic", "The graphics card where it can be used, else the processor"),
            ("cpu", "CPU", "All cores of the processor"),
            ("cuda", "CUDA", "The NVIDIA graphics card"),
        ),
        default="auto",
    )
    seed: IntProperty(
        name="Seed", description="Start of the random numbers. The same seed gives the same result", default=0, min=0
    )
    report_dir: StringProperty(
        name="Report Folder",
        description="Folder for the report with pictures, curves and warnings. Empty: a temporary folder",
        subtype="DIR_PATH",
        options=versions.path_options(),
    )


CLASSES = (LikenessPhoto, LikenessTargets, LikenessSettings)


def is_registered() -> bool:
    """Whether ``scene.likeness`` exists in this process."""
    return hasattr(bpy.types.Scene, "likeness")


def register() -> None:
    """Make ``scene.likeness`` available."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.likeness = PointerProperty(
        type=LikenessSettings, name="Likeness", description="Photos, targets and settings of the fit"
    )


def unregister() -> None:
    """Take ``scene.likeness`` away; the data stays in the files. Safe to call twice."""
    if is_registered():
        del bpy.types.Scene.likeness
    for cls in reversed(CLASSES):
        if cls.is_registered:
            bpy.utils.unregister_class(cls)


def ensure_registered() -> None:
    """Register for this process unless the add-on, or an earlier call, has done so.

    A class that is still registered when the interpreter ends can crash or hang older Blender modules, so the
    registration is taken back then.
    """
    if not is_registered():
        register()
        atexit.register(unregister)
