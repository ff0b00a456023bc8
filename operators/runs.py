# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons for running, waiting and interrupted fits."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.props import IntProperty, StringProperty

from ..engine.runs import discard, find_run
from . import running
from .run_state import refresh_open_runs, run_state, show_run


class _WhileRunning:
    """What can be asked of a running fit."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).running:
            return True
        cls.poll_message_set("No fit is running")  # type: ignore[attr-defined]
        return False


class LIKENESS_OT_pause(_WhileRunning, bpy.types.Operator):
    """Let the running fit wait, or go on"""

    bl_idname = "likeness.pause"
    bl_label = "Pause"

    def execute(self, context: bpy.types.Context) -> set[str]:
        state = run_state(context)
        state.request = "CONTINUE" if state.paused else "PAUSE"
        return {"FINISHED"}


class LIKENESS_OT_stop(_WhileRunning, bpy.types.Operator):
    """End the running fit now and keep what it has reached"""

    bl_idname = "likeness.stop"
    bl_label = "Stop and Keep"

    def execute(self, context: bpy.types.Context) -> set[str]:
        run_state(context).request = "STOP"
        return {"FINISHED"}


class LIKENESS_OT_cancel(_WhileRunning, bpy.types.Operator):
    """Cancel the running fit at once, as Esc over the 3D View does. Nothing is applied; it can be resumed"""

    bl_idname = "likeness.cancel"
    bl_label = "Cancel"

    def execute(self, context: bpy.types.Context) -> set[str]:
        run_state(context).request = "CANCEL"
        return {"FINISHED"}


class LIKENESS_OT_queue_remove(bpy.types.Operator):
    """Take a fit out of the queue"""

    bl_idname = "likeness.queue_remove"
    bl_label = "Remove from Queue"

    index: IntProperty(name="Index", description="Place in the queue, the first is 0", min=0)

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).queue:
            return True
        cls.poll_message_set("The queue is empty")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        queue = run_state(context).queue
        if self.index >= len(queue):
            self.report({"ERROR"}, f"The queue has {len(queue)} fits; there is no number {self.index}")
            return {"CANCELLED"}
        folder = Path(queue[self.index].folder)
        queue.remove(self.index)
        running.let_go(folder)
        discard(folder)
        return {"FINISHED"}


class _OnAFolder:
    """What can be done with a run that nobody works on."""

    folder: StringProperty(
        name="Folder", description="Job folder of the fit", subtype="DIR_PATH", options={"SKIP_SAVE"}
    )


class LIKENESS_OT_run_resume(_OnAFolder, bpy.types.Operator):
    """Go on with an interrupted fit, or put it into the queue while another one runs"""

    bl_idname = "likeness.run_resume"
    bl_label = "Resume"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.likeness.fit("INVOKE_DEFAULT", resume=True, folder=self.folder)


class LIKENESS_OT_run_keep(_OnAFolder, bpy.types.Operator):
    """Make a result of what an interrupted fit has reached, and fit no further"""

    bl_idname = "likeness.run_keep"
    bl_label = "Keep"

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.likeness.fit("INVOKE_DEFAULT", keep=True, folder=self.folder)


class LIKENESS_OT_run_show(_OnAFolder, bpy.types.Operator):
    """Make an earlier fit the one that Apply and Report are about"""

    bl_idname = "likeness.run_show"
    bl_label = "Show Fit"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not run_state(context).running:
            return True
        cls.poll_message_set("Wait for the end of the running fit")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        run = find_run(Path(self.folder))
        if run is None:
            self.report({"ERROR"}, f'The run in "{self.folder}" is gone. Run Fit again')
            return {"CANCELLED"}
        show_run(context, run)
        refresh_open_runs(context)
        return {"FINISHED"}


class LIKENESS_OT_run_discard(_OnAFolder, bpy.types.Operator):
    """Delete an interrupted or unapplied fit for good"""

    bl_idname = "likeness.run_discard"
    bl_label = "Discard"

    def execute(self, context: bpy.types.Context) -> set[str]:
        state = run_state(context)
        folder = Path(self.folder)
        listed = {item.folder for item in state.open_runs} | ({state.folder} if not state.running else set())
        if not self.folder or self.folder not in listed:
            self.report({"ERROR"}, f'The run in "{self.folder}" is gone, or at work')
            return {"CANCELLED"}
        discard(folder)
        if state.folder == self.folder:
            state.folder, state.has_result, state.stopped = "", False, False
        refresh_open_runs(context)
        return {"FINISHED"}


class LIKENESS_OT_runs_refresh(bpy.types.Operator):
    """Look for fits of this file that were interrupted or not applied"""

    bl_idname = "likeness.runs_refresh"
    bl_label = "Look for Interrupted Fits"

    def execute(self, context: bpy.types.Context) -> set[str]:
        refresh_open_runs(context)
        self.report({"INFO"}, f"{len(run_state(context).open_runs)} found")
        return {"FINISHED"}


CLASSES = (
    LIKENESS_OT_pause,
    LIKENESS_OT_stop,
    LIKENESS_OT_cancel,
    LIKENESS_OT_queue_remove,
    LIKENESS_OT_run_resume,
    LIKENESS_OT_run_keep,
    LIKENESS_OT_run_show,
    LIKENESS_OT_run_discard,
    LIKENESS_OT_runs_refresh,
)
