# SPDX-License-Identifier: GPL-3.0-or-later
"""What panels show of running and finished fits. Kept on the window manager, so it is never saved into a .blend."""

from __future__ import annotations

from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import (
    BoolProperty,
    CollectionProperty,
    EnumProperty,
    FloatProperty,
    IntProperty,
    PointerProperty,
    StringProperty,
)

from .. import preferences
from ..bridge import session
from ..engine.job import CHECKPOINT, RESULT
from ..engine.runs import FoundRun, idle_runs

_SETTLED = 6.0  # seconds after which a worker that was let go of has written its checkpoint
CURVE_POINTS = 240  # of the loss curve; more are thinned out

_MODES = (
    ("PHOTO", "Photo", "The photo"),
    ("FIT", "Fit", "What the fit renders at this moment"),
    ("BEFORE", "Before", "The render before the fit. Known once the fit has ended"),
    ("DIFFERENCE", "Difference", "How far the fit is from the photo; black where they agree"),
    ("WIPE", "Wipe", "The photo on the left, the fit on the right"),
)


class LikenessPreview(bpy.types.PropertyGroup):
    """Pictures of a photo, see engine/preview.py."""

    photo: StringProperty(description="Name of the photo")
    camera: StringProperty(description="Name of its camera object")
    path: StringProperty(description="File of the pictures", subtype="FILE_PATH")
    width: IntProperty(description="Width of the photo")
    height: IntProperty(description="Height of the photo")
    serial: IntProperty(description="Changes when the pictures have changed")


class LikenessLoss(bpy.types.PropertyGroup):
    """A point of the loss curve."""

    iteration: IntProperty()
    loss: FloatProperty()


class LikenessListedRun(bpy.types.PropertyGroup):
    """A run that waits: in the queue, or for somebody to resume or apply it."""

    folder: StringProperty(description="Job folder", subtype="DIR_PATH")
    scene: StringProperty(description="Scene that it belongs to")
    text: StringProperty(description="What happened to it")
    can_resume: BoolProperty(description="It has not come to its end")
    has_checkpoint: BoolProperty(description="It need not begin anew")
    has_result: BoolProperty(description="There is something to apply")


class LikenessRun(bpy.types.PropertyGroup):
    """The fits of this session."""

    running: BoolProperty(description="A fit is running")
    phase: EnumProperty(
        items=[(name, name.title(), "") for name in ("IDLE", "READING", "RUNNING", "CANCELLING", "LOADING")]
    )
    request: EnumProperty(
        description="What the artist wants of the running fit",
        items=[(name, name.title(), "") for name in ("NONE", "PAUSE", "CONTINUE", "STOP", "CANCEL")],
    )
    paused: BoolProperty(description="The running fit waits")
    stopping: BoolProperty(description="The running fit was asked for what it has reached")
    factor: FloatProperty(min=0.0, max=1.0, subtype="FACTOR")
    text: StringProperty()
    loss: FloatProperty()
    slowest_tick: FloatProperty(description="Most milliseconds that Blender was kept busy at a time by this run")
    scene: StringProperty(description="Scene that the fit belongs to")
    scene_uid: StringProperty(description="Its scene.likeness.uid")
    folder: StringProperty(description="Job folder of the last fit", subtype="DIR_PATH")
    has_result: BoolProperty(description="The job folder holds a result")
    stopped: BoolProperty(description="The fit was stopped before its end and can go on")
    report: StringProperty(description="Page of the last report", subtype="FILE_PATH")
    previews: CollectionProperty(type=LikenessPreview, description="Pictures of the photos of the last fit")
    curve: CollectionProperty(type=LikenessLoss)
    queue: CollectionProperty(type=LikenessListedRun, description="Fits that start when the running one ends")
    open_runs: CollectionProperty(type=LikenessListedRun, description="Earlier fits that were not applied")


class LikenessOverlay(bpy.types.PropertyGroup):
    """How photo and fit are drawn over the camera view."""

    show: BoolProperty(
        name="Overlay", description="Draw the photo or its fit over the view through its camera", default=True
    )
    mode: EnumProperty(name="Show", description="What is drawn over the camera view", items=_MODES, default="FIT")
    opacity: FloatProperty(
        name="Opacity",
        description="How much of the viewport is covered",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    wipe: FloatProperty(
        name="Wipe",
        description="Where the photo ends and the fit begins",
        default=0.5,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    gain: FloatProperty(
        name="Gain", description="By how much the difference is brightened", default=4.0, min=1.0, max=32.0
    )
    inset: BoolProperty(
        name="Inset", description="Draw a small picture in the corner of views that do not look through the camera"
    )
    curve: BoolProperty(name="Loss Curve", description="Draw the loss of the running fit into the corner", default=True)


CLASSES = (LikenessPreview, LikenessLoss, LikenessListedRun, LikenessRun, LikenessOverlay)


def run_state(context: bpy.types.Context) -> Any:
    """The state, which lives until another file is opened."""
    return context.window_manager.likeness_run


def show_run(context: bpy.types.Context, run: FoundRun) -> None:
    """Make a run the one that Apply, Report and the overlay are about."""
    state = run_state(context)
    state.folder, state.scene, state.scene_uid = str(run.folder), run.info.scene, run.info.uid
    state.has_result = (run.folder / f"{RESULT}.json").is_file()
    state.stopped = not run.finished
    state.previews.clear()
    state.curve.clear()
    state.report = ""


def refresh_open_runs(context: bpy.types.Context) -> None:
    """Look for runs of the open file that nobody works on and that were not applied."""
    state = run_state(context)
    state.open_runs.clear()
    opened = session.open_file()
    for run in idle_runs(preferences.jobs_folder()):
        ours = session.has_scene(run.info.uid) or (opened is not None and run.info.blend == str(opened))
        if run.info.settled or not ours or str(run.folder) == state.folder:
            continue
        item = state.open_runs.add()
        item.folder, item.scene, item.text = str(run.folder), run.info.scene, run.sentence()
        item.can_resume, item.has_result = not run.finished, run.has_result
        item.has_checkpoint = (run.folder / CHECKPOINT).is_file()


def add_loss(state: Any, iteration: int, loss: float) -> None:
    """Append to the loss curve, thinned so that it stays short."""
    if len(state.curve) >= CURVE_POINTS:
        for index in range(len(state.curve) // 2):
            state.curve.remove(index + 1)
    point = state.curve.add()
    point.iteration, point.loss = iteration, loss


def redraw(context: bpy.types.Context, views: bool = True) -> None:
    """Draw the sidebars anew, and the 3D Views themselves where ``views`` says so: scenes may be heavy."""
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if views or region.type == "UI":
                        region.tag_redraw()


def _forget(context: bpy.types.Context) -> None:
    """Back to the start: what is stored on the window manager survives files and the add-on itself."""
    state = run_state(context)
    for known in state.bl_rna.properties:
        if known.type == "COLLECTION":
            getattr(state, known.identifier).clear()
        elif not known.is_readonly:
            state.property_unset(known.identifier)


@persistent
def _file_loaded(*_: Any) -> None:
    """What was shown belongs to another file; the new one may have runs that wait."""
    _forget(bpy.context)
    refresh_open_runs(bpy.context)
    _look_again(_SETTLED)


def _look_again(seconds: float) -> None:
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
    # a timer that a file load drops crashes Blender 4.2 at its end and hangs 4.5
    bpy.app.timers.register(_look, first_interval=seconds, persistent=True)


def _look() -> None:
    if hasattr(bpy.types.WindowManager, "likeness_run"):
        refresh_open_runs(bpy.context)
        redraw(bpy.context)


def register() -> None:
    """Make ``window_manager.likeness_run`` available; the classes are registered before."""
    bpy.types.WindowManager.likeness_run = PointerProperty(type=LikenessRun)
    bpy.types.WindowManager.likeness_overlay = PointerProperty(type=LikenessOverlay)
    bpy.app.handlers.load_post.append(_file_loaded)
    _look_again(0.5)  # data cannot be looked at while add-ons are registered


def unregister() -> None:
    """Take it away. Safe to call twice."""
    if bpy.app.timers.is_registered(_look):
        bpy.app.timers.unregister(_look)
    if hasattr(bpy.types.WindowManager, "likeness_run"):
        _forget(bpy.context)
    if _file_loaded in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(_file_loaded)
    for name in ("likeness_run", "likeness_overlay"):
        if hasattr(bpy.types.WindowManager, name):
            delattr(bpy.types.WindowManager, name)
