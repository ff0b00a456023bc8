# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a fit from Blender: the engine works in its own process, Blender stays free.

In the GUI a window timer looks for messages ten times a second; in background mode the same steps block. Blender
supports no threads that outlive an operator, so there are none.
"""

from __future__ import annotations

import time
from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from ..bridge import history
from ..engine.errors import CancelledError, LikenessError
from ..engine.job import load_settings
from ..engine.result import FitResult
from . import preflight, running
from .run_state import redraw, refresh_open_runs, run_state

_INTERVAL = 0.1  # seconds
_CURVE_INTERVAL = 1.0


class LIKENESS_OT_fit(bpy.types.Operator):
    """Change what is ticked until the render looks like the photos. While a fit runs: do so after it. Esc cancels"""

    bl_idname = "likeness.fit"
    bl_label = "Fit"
    bl_options = {"REGISTER"}

    resume: BoolProperty(name="Resume", description="Go on with a fit that was stopped", options={"SKIP_SAVE"})
    keep: BoolProperty(
        name="Keep",
        description="Make a result of what a fit that was stopped has reached, and fit no further",
        options={"SKIP_SAVE"},
    )
    folder: StringProperty(
        name="Folder",
        description="Job folder of the fit to resume or to keep. Empty: the last one",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )
    queue: BoolProperty(
        name="Queue", description="Save the job and start it after the next fit that runs", options={"SKIP_SAVE"}
    )
    apply_when_done: BoolProperty(
        name="Apply When Done",
        description="Write the result into the scene at the end. Not set: always in background mode and in scripts, "
        "as the scene's setting says in the window",
        options={"SKIP_SAVE"},
    )

    _run: running.Running | None = None
    _timer: bpy.types.Timer | None = None
    _blocks = False
    _drawn = 0.0

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        state = run_state(context)
        why = _hindrance(context)
        if not why or state.stopped or state.open_runs:  # those have all they need in their folders
            return True
        cls.poll_message_set(why)
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Run to the end, blocking: background mode and scripts. Then the same for what is in the queue."""
        self._blocks = True
        if self._waits(context):
            return self._enqueue(context)
        try:
            self._run = self._first(context)
            while True:
                outcome = self._block(context)
                following = running.next_in_queue(context)
                if following is None:
                    refresh_open_runs(context)
                    return outcome
                self._run = running.Running(context, following, True, False)
        except LikenessError as error:
            return self._fail(context, error)
        except KeyboardInterrupt:
            running.leave(context)
            raise

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background:
            return self.execute(context)
        if not (self.resume or self.keep) and (why := _hindrance(context)):
            self.report({"ERROR"}, why)
            return {"CANCELLED"}
        if self._waits(context):
            return self._enqueue(context)
        state = run_state(context)
        # said before it is done: the scene is read in the first tick, when this has been drawn
        state.running, state.phase, state.text, state.factor = True, "READING", "Reading the scene…", 0.0
        state.slowest_tick, state.request = 0.0, "NONE"
        redraw(context)
        self._timer = context.window_manager.event_timer_add(_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        state = run_state(context)
        if event.type == "ESC" and event.value == "PRESS" and _is_over_view(context, event):
            state.request = "CANCEL"
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            if self._run is None:
                if state.request == "CANCEL":  # before the scene was read
                    return self._stop(context)
                self._run = self._first(context)
                redraw(context)
                return {"PASS_THROUGH"}
            if not state.running:  # the add-on let go of it
                return self._stop(context)
            began = time.perf_counter()
            result = self._run.tick(context)
            state.slowest_tick = max(state.slowest_tick, 1000.0 * (time.perf_counter() - began))
            self._redraw(context)
            if result is None:
                return {"PASS_THROUGH"}
            self._run.worker.let_go()
            outcome = self._finish(context, result)
        except LikenessError as error:
            outcome = self._fail(context, error)
        return self._next(context, outcome)

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender closes, or loads another file."""
        running.leave(context)
        self._stop(context)

    def _waits(self, context: bpy.types.Context) -> bool:
        return run_state(context).running or self.queue

    def _applies(self, context: bpy.types.Context) -> bool:
        if self.properties.is_property_set("apply_when_done"):
            return self.apply_when_done
        return self._blocks or context.scene.likeness.apply_when_done

    def _first(self, context: bpy.types.Context) -> running.Running:
        """The run that the button was pressed for. Raises a LikenessError."""
        run = running.Running(context, self._job(context), self.resume, self.keep)
        refresh_open_runs(context)
        return run

    def _job(self, context: bpy.types.Context) -> Path:
        """The folder of the job to go on with, or of a new one. Raises a LikenessError."""
        goes_on = self.resume or self.keep
        chosen = self.folder or (run_state(context).folder if goes_on else "")
        return Path(chosen) if chosen else running.prepare(context, self._applies(context), self.report)

    def _enqueue(self, context: bpy.types.Context) -> set[str]:
        try:
            running.enqueue(context, self._job(context))
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"Fit {len(run_state(context).queue)} in the queue")
        return {"FINISHED"}

    def _block(self, context: bpy.types.Context) -> set[str]:
        assert self._run is not None
        try:
            while (result := self._run.tick(context)) is None:
                time.sleep(0.02)
            self._run.worker.close()
        except LikenessError as error:
            return self._fail(context, error)
        return self._finish(context, result)

    def _next(self, context: bpy.types.Context, outcome: set[str]) -> set[str]:
        """Go on with the queue, or end."""
        while (following := running.next_in_queue(context)) is not None:
            try:
                self._run = running.Running(context, following, True, False)
                return {"PASS_THROUGH"}
            except LikenessError as error:
                outcome = self._fail(context, error)
        self._stop(context)
        return outcome

    def _finish(self, context: bpy.types.Context, result: FitResult) -> set[str]:
        assert self._run is not None
        run = self._run
        for message in run.worker.warnings:
            self.report({"WARNING"}, message)
        run.end(context)
        try:
            self._record(run, result)
        except LikenessError as error:
            self.report({"ERROR"}, f'{error} The result is kept in "{run.folder}".')
            return {"CANCELLED"}
        if result.cancelled:
            self.report({"INFO"}, f"Stopped after {result.iterations} steps. Apply what was reached, or go on")
            return {"CANCELLED"}
        if not run.info.apply:
            self.report({"INFO"}, "The fit is done. Look at it, then press Apply")
            return {"FINISHED"}
        # an operator of its own, with an undo step of its own: one Ctrl-Z takes the whole result back
        try:
            return bpy.ops.likeness.apply("EXEC_DEFAULT", True)
        except RuntimeError as error:  # what it reported, as in Edit Mode: the result waits until Apply is pressed
            self.report({"ERROR"}, str(error).removeprefix("Error: ").strip())
            return {"CANCELLED"}

    def _record(self, run: running.Running, result: FitResult) -> None:
        """The run is over and its result is on disk: note it in the scene's history. Raises SceneError where the scene
        is gone."""
        history.record_run(run.scene(), run.folder, load_settings(run.folder), result)

    def _redraw(self, context: bpy.types.Context) -> None:
        """The sidebar at each tick, the views where there are new pictures, and once a second for the curve."""
        assert self._run is not None
        views = self._run.take_news() or time.monotonic() > self._drawn + _CURVE_INTERVAL
        if views:
            self._drawn = time.monotonic()
        redraw(context, views)

    def _fail(self, context: bpy.types.Context, error: LikenessError) -> set[str]:
        if self._run is not None:
            if not isinstance(error, CancelledError):
                self._run.worker.kill()
            self._run.end(context)
        else:
            state = run_state(context)
            state.running, state.phase, state.text = False, "IDLE", ""
        level = "INFO" if isinstance(error, CancelledError) else "ERROR"
        self.report({level}, str(error))
        return {"CANCELLED"}

    def _stop(self, context: bpy.types.Context) -> set[str]:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        state = run_state(context)
        state.running, state.phase, state.text = False, "IDLE", ""
        refresh_open_runs(context)
        redraw(context)
        return {"CANCELLED"}


CLASSES = (LIKENESS_OT_fit,)


def _hindrance(context: bpy.types.Context) -> str:
    """Why a new fit cannot start; "" where nothing is known to hinder it."""
    if not any(photo.enabled for photo in context.scene.likeness.photos):
        return "No photo is in use. Add one to the list"
    return preflight.blocked(context)


def _is_over_view(context: bpy.types.Context, event: bpy.types.Event) -> bool:
    """Whether the mouse is over a 3D View: Esc means other things elsewhere."""
    for area in context.window.screen.areas if context.window is not None else ():
        inside_x = area.x <= event.mouse_x < area.x + area.width
        if area.type == "VIEW_3D" and inside_x and area.y <= event.mouse_y < area.y + area.height:
            return True
    return False
