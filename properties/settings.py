# SPDX-License-Identifier: GPL-3.0-or-later
"""All that is stored on a scene."""

from __future__ import annotations

import bpy
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, IntProperty, PointerProperty, StringProperty

from ..bridge import versions
from .history import LikenessHistoryRun
from .photo import LikenessPhoto
from .snapshot import LikenessSnapshot
from .targets import LikenessTargets


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
    use_cycles: BoolProperty(
        name="Check with Cycles",
        description="Let Cycles render the fit now and then, and fit to what it shows: for glass, translucent "
        "things and rooms full of reflected light. Takes longer",
    )
    apply_when_done: BoolProperty(
        name="Apply When Done",
        description="Write the result into the scene as soon as a fit ends. Off: look at it first, then press Apply",
    )
    uid: StringProperty(
        name="Identity",
        description="By which a fit finds the scene it was started from, whatever it is called by then",
        options={"HIDDEN"},
    )
    report_dir: StringProperty(
        name="Report Folder",
        description="Folder for the report with pictures, curves and warnings. Empty: a temporary folder",
        subtype="DIR_PATH",
        options=versions.path_options(),
    )
    runs: CollectionProperty(type=LikenessHistoryRun, name="History", description="Finished runs, the newest last")
    active_run: IntProperty(name="Active Run", description="Run that is shown below the list", min=0)
    snapshot: PointerProperty(
        type=LikenessSnapshot, name="Before/After", description="The scene as it was before the last apply"
    )


CLASSES = (LikenessSettings,)
