# SPDX-License-Identifier: GPL-3.0-or-later
"""One finished run of a scene. Its result lies in the job folder."""

from __future__ import annotations

import os
from typing import Any

import bpy
from bpy.props import BoolProperty, FloatProperty, IntProperty, StringProperty


# Asked for by panels, which do not look at files themselves. No lambdas: Blender evaluates annotations elsewhere.
def _is_available(run: Any) -> bool:
    return os.path.isfile(os.path.join(run.folder, "result.json"))


def _is_worse(run: Any) -> bool:
    return run.photos > 0 and run.psnr_after < run.psnr_before


class LikenessHistoryRun(bpy.types.PropertyGroup):
    """A finished run: when, what was asked for, how well the photos were met."""

    date: StringProperty(name="Date", description="When the run ended, local time")
    targets: StringProperty(name="Targets", description="What the run could change, as on the command line, one a line")
    steps: IntProperty(name="Steps", description="Steps that were done", min=0)
    iterations: IntProperty(name="Iterations", description="Steps that were asked for. 0: chosen by Likeness", min=0)
    resolution: IntProperty(name="Resolution", description="Longest side of the photos in the run", subtype="PIXEL")
    texture_size: IntProperty(name="Texture Size", description="Side of new image textures", subtype="PIXEL")
    device: StringProperty(name="Device", description="Where the run was to be computed")
    seed: IntProperty(name="Seed", description="Start of the random numbers")
    use_cycles: BoolProperty(name="Check with Cycles", description="Cycles rendered the fit now and then")
    seconds: FloatProperty(name="Seconds", description="How long the run took", min=0.0, subtype="TIME_ABSOLUTE")
    photos: IntProperty(name="Photos", description="Photos that were compared. 0: the run has no score", min=0)
    psnr_before: FloatProperty(
        name="Before", description="Likeness of render and photos before the run in decibels, mean of all photos"
    )
    psnr_after: FloatProperty(
        name="After", description="Likeness of render and photos after the run in decibels, mean of all photos"
    )
    stopped: BoolProperty(name="Stopped", description="The run was stopped before its end")
    folder: StringProperty(name="Job Folder", description="Folder that holds the result", subtype="DIR_PATH")
    own_folder: BoolProperty(name="Own Folder", description="Likeness made the job folder and may delete it")
    note: StringProperty(name="Note", description="Your own words about the run")
    available: BoolProperty(
        name="Available",
        description="The job folder still holds the result",
        get=_is_available,
    )
    is_worse: BoolProperty(
        name="Worse",
        description="The render looked more like the photos before the run than after it",
        get=_is_worse,
    )


CLASSES = (LikenessHistoryRun,)
