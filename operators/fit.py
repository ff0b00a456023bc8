# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a fit from Blender: the engine works in its own process, Blender stays free.

In the GUI a window timer looks for messages ten times a second; in background mode the same steps block. Blender
supports no threads that outlive an operator, so there are none.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import bpy
from bpy.props import BoolProperty

from .. import api, preferences
from ..bridge import history, session
from ..bridge.fit_settings import read_fit_settings
from ..engine.client import Worker
from ..engine.errors import LikenessError
from ..engine.job import load_job, save_job
from ..engine.report import write_report
from ..engine.result import FitResult, Progress
from .run_state import run_state

_INTERVAL = 0.1  # seconds


class LIKENESS_OT_fit(bpy.types.Operator):
    """Change what is ticked until the render looks like the photos. Esc stops; what was reached can be applied"""

    bl_idname = "likeness.fit"
    bl_label = "Fit"
    bl_options = {"REGISTER"}

    resume: BoolProperty(name="Resume", description="Go on with the fit that was stopped", options={"SKIP_SAVE"})

    _worker: Worker | None = None
    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).running:
            cls.poll_message_set("A fit is running")
            return False
        if not any(photo.enabled for photo in context.scene.likeness.photos):
            cls.poll_message_set("No photo is in use. Add one to the list")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Run to the end, blocking: background mode and scripts."""
        if not self._start(context):
            return {"CANCELLED"}
        assert self._worker is not None
        try:
            for progress in self._worker.wait():
                if progress is not None:
                    self._show(context, progress)
        except LikenessError as error:
            return self._fail(context, error)
        except KeyboardInterrupt:
            self._end(context)
            raise
        return self._finish(context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if bpy.app.background:
            return self.execute(context)
        if not self._start(context):
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(_INTERVAL, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        assert self._worker is not None
        state = run_state(context)
        if event.type == "ESC" and event.value == "PRESS":
            state.cancel = True
        elif event.type != "TIMER":
            return {"PASS_THROUGH"}
        if state.cancel and state.text != "Stopping…":
            state.text = "Stopping…"
            self._worker.cancel()
        try:
            for progress in self._worker.poll():
                self._show(context, progress)
        except LikenessError as error:
            return self._fail(context, error)
        return self._finish(context) if self._worker.result is not None else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender closes, or loads another file."""
        self._end(context)

    def _start(self, context: bpy.types.Context) -> bool:
        state = run_state(context)
        try:
            python = preferences.engine_python()
            if self.resume and state.stopped:
                folder = Path(state.folder)
            else:
                self.resume = False
                plan = api.make_plan(context.scene, read_fit_settings(context.scene))
                _forget(state.folder)
                folder = preferences.new_job_folder()
                save_job(folder, plan.scene, plan.settings)
                for message in plan.warnings:
                    self.report({"WARNING"}, message)
            self._worker = Worker(python, folder, self.resume)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return False
        state.folder, state.scene = str(folder), context.scene.name
        state.running, state.cancel, state.has_result, state.stopped = True, False, False, False
        state.factor, state.text = 0.0, "Starting…"
        return True

    def _show(self, context: bpy.types.Context, progress: Progress) -> None:
        state = run_state(context)
        state.factor = progress.iteration / max(progress.iterations, 1)
        if not state.cancel:
            minutes = progress.seconds_left / 60.0  # not a number where the worker does not know
            left = f", {minutes:.0f} min left" if minutes >= 1.5 else ", about a minute left" if minutes >= 0.0 else ""
            state.text = f"{progress.stage}: {state.factor:.0%}{left}"
        _redraw(context)

    def _finish(self, context: bpy.types.Context) -> set[str]:
        assert self._worker is not None
        assert self._worker.result is not None
        result = self._worker.result
        for message in self._worker.warnings:
            self.report({"WARNING"}, message)
        self._end(context)
        state = run_state(context)
        state.has_result, state.stopped = True, result.cancelled
        self._write_report(context, result)
        folder = Path(state.folder)
        history.record_run(session.scene_named(state.scene), folder, load_job(folder)[1], result)
        if result.cancelled:
            self.report({"INFO"}, f"Stopped after {result.iterations} steps. Apply what was reached, or go on")
            return {"CANCELLED"}
        # an operator of its own, with an undo step of its own: one Ctrl-Z takes the whole result back
        return bpy.ops.likeness.apply("EXEC_DEFAULT", True)

    def _write_report(self, context: bpy.types.Context, result: FitResult) -> None:
        state = run_state(context)
        chosen = context.scene.likeness.report_dir
        folder = Path(bpy.path.abspath(chosen) if chosen else state.folder)
        try:
            state.report = str(write_report(folder, *load_job(Path(state.folder)), result))
        except LikenessError as error:  # the fit is worth more than its report
            self.report({"WARNING"}, str(error))

    def _fail(self, context: bpy.types.Context, error: LikenessError) -> set[str]:
        self._end(context)
        run_state(context).stopped = (Path(run_state(context).folder) / "checkpoint.pt").is_file()
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _end(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if self._worker is not None:
            self._worker.close()
        state = run_state(context)
        state.running, state.text = False, ""
        _redraw(context)


class LIKENESS_OT_cancel(bpy.types.Operator):
    """Stop the running fit. What was reached is kept"""

    bl_idname = "likeness.cancel"
    bl_label = "Stop"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if run_state(context).running:
            return True
        cls.poll_message_set("No fit is running")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        run_state(context).cancel = True
        return {"FINISHED"}


CLASSES = (LIKENESS_OT_fit, LIKENESS_OT_cancel)


def _forget(folder: str) -> None:
    """Remove the job of the fit before, which has no result to come back to."""
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()
