# SPDX-License-Identifier: GPL-3.0-or-later
"""The runs of this Blender: the one whose worker is at work, and those that wait in the queue.

A run is driven by short ticks, so that Blender stays free; whoever does not mind waiting calls them in a loop.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import api, preferences
from ..bridge import session
from ..bridge.fit_settings import read_fit_settings
from ..engine.client import Worker
from ..engine.cycles_service import forget_copy
from ..engine.errors import CancelledError, LikenessError
from ..engine.job import CHECKPOINT, RESULT, load_result_in_steps
from ..engine.locks import FileLock
from ..engine.preview import preview_path
from ..engine.result import FitResult, Progress
from ..engine.runs import LOCK, RunInfo, find_run, new_info, prune, read_info, settle, write_info
from .run_state import add_loss, run_state, show_run

_PATIENCE = 1.0  # seconds that a cancelled worker has for its checkpoint before it is killed
_SLICE = 0.015  # seconds of a tick that may go into reading the result

# Job folders that this Blender works on or has queued; the locks die with it.
_held: dict[str, FileLock] = {}
# The run whose worker is at work; there is at most one.
_current: list[Running] = []


def prepare(context: bpy.types.Context, apply: bool, report: Any) -> Path:
    """Read the scene and save the job: the folder holds all of it from here on. ``report`` is given warnings.

    Raises a LikenessError.
    """
    preferences.engine_python()  # before minutes go into reading: without it there will be no fit
    scene = context.scene
    plan = api.make_plan(scene, read_fit_settings(scene))
    for message in plan.warnings:
        report({"WARNING"}, message)
    opened = session.open_file()
    chosen = scene.likeness.report_dir
    info = new_info(
        scene.name,
        session.scene_uid(scene),
        str(opened) if opened is not None else "",
        apply,
        bpy.path.abspath(chosen) if chosen else "",
    )
    prune(preferences.jobs_folder())
    folder = preferences.new_job_folder()
    api.save_run(plan, folder)
    write_info(folder, info)
    return folder


def hold(folder: Path) -> bool:
    """Say that this Blender works on a job; False where another one does."""
    if str(folder) in _held:
        return True
    lock = FileLock(folder / LOCK)
    if not lock.acquire():
        return False
    _held[str(folder)] = lock
    return True


def let_go(folder: Path) -> None:
    """The job may be taken up by anybody."""
    lock = _held.pop(str(folder), None)
    if lock is not None:
        lock.release()


def enqueue(context: bpy.types.Context, folder: Path) -> None:
    """Put a prepared job behind the running one."""
    hold(folder)
    info = read_info(folder) or RunInfo()
    item = run_state(context).queue.add()
    item.folder, item.scene, item.text = str(folder), info.scene, f'Scene "{info.scene}"'


def next_in_queue(context: bpy.types.Context) -> Path | None:
    """Take the first job out of the queue."""
    queue = run_state(context).queue
    if not queue:
        return None
    folder = Path(queue[0].folder)
    queue.remove(0)
    return folder


def leave(context: bpy.types.Context) -> None:
    """Let go of everything at once: Blender closes, loads another file, or switches the add-on off.

    The worker sees the end of its stdin, and writes checkpoint and result by itself.
    """
    for run in list(_current):
        run.leave()
        run.end(context)
    run_state(context).queue.clear()
    for folder in list(_held):
        let_go(Path(folder))


@persistent
def _before_load(*_: Any) -> None:
    """Operators are told by Blender that a file is loaded, the queue is not."""
    leave(bpy.context)


def register() -> None:
    """Let go of all runs before another file is loaded."""
    bpy.app.handlers.load_pre.append(_before_load)


def unregister() -> None:
    """Let go of all runs now. Safe to call twice."""
    if _before_load in bpy.app.handlers.load_pre:
        bpy.app.handlers.load_pre.remove(_before_load)
        leave(bpy.context)


class Running:
    """A run and its worker. Raises a LikenessError where it cannot start."""

    def __init__(self, context: bpy.types.Context, folder: Path, resume: bool, keep: bool) -> None:
        found = find_run(folder)
        if found is None:
            raise LikenessError(f'The run in "{folder}" is gone. Run Fit again')
        python = preferences.engine_python()
        if not hold(folder):
            raise LikenessError(f"{found.sentence()}, and another Blender works on it. Close that one first")
        self.folder, self.info = folder, found.info
        has_checkpoint = (folder / CHECKPOINT).is_file()
        try:
            self.worker = Worker(python, folder, resume and has_checkpoint, keep and has_checkpoint)
        except LikenessError:
            let_go(folder)
            raise
        self._loader: Generator[None, None, FitResult] | None = None
        self._killed_at = 0.0
        self._step = -1  # the last one in the loss curve
        self._shown = ""
        self._left = self._news = False
        _current.append(self)
        if resume and has_checkpoint and found.done != self.info.done:
            self.info.done = found.done  # messages begin anew
            write_info(folder, self.info)
        show_run(context, found)
        state = run_state(context)
        state.running, state.phase, state.request = True, "RUNNING", "NONE"
        state.has_result, state.stopped, state.paused, state.stopping = False, False, False, keep
        state.factor, state.text, state.loss = found.done if resume else 0.0, "Starting…", 0.0

    def tick(self, context: bpy.types.Context) -> FitResult | None:
        """Do what there is to do now; the result once it is read. Raises the error that ended the run."""
        state = run_state(context)
        if self._loader is not None:
            return self._load()
        self._obey(state)
        try:
            for progress in self.worker.poll():
                self._show(state, progress)
        except CancelledError:
            self.worker.let_go()
            raise
        if state.phase == "CANCELLING" and time.monotonic() > self._killed_at:
            self.worker.kill()
            raise CancelledError("The fit was cancelled.")
        self._show_previews(state)
        self._follow(context)
        if self.worker.ended:
            self._loader = load_result_in_steps(self.folder)
            state.phase, state.text = "LOADING", "Reading the result…"
        return None

    def take_news(self) -> bool:
        """Whether pictures have changed since the last call."""
        news, self._news = self._news, False
        return news

    def end(self, context: bpy.types.Context) -> None:
        """The run is over, whichever way."""
        if self in _current:
            _current.remove(self)
        let_go(self.folder)
        state = run_state(context)
        state.running, state.phase, state.text, state.request = False, "IDLE", "", "NONE"
        state.paused = state.stopping = False
        state.has_result = (self.folder / f"{RESULT}.json").is_file()
        finished = self.worker.ended and not self.worker.cancelled
        state.stopped = not finished and (self.folder / CHECKPOINT).is_file()
        if finished:
            forget_copy(self.folder)
        if not state.stopped and not state.has_result and not self._left:
            settle(self.folder)  # it failed, or was cancelled, before there was anything to keep
        state.report = self.worker.report

    def leave(self) -> None:
        """Let the worker end by itself, after checkpoint and result."""
        self._left = True
        self.worker.let_go()

    def scene(self) -> bpy.types.Scene:
        """The scene that the run was started from. Raises SceneError where it is gone."""
        return session.scene_named(self.info.scene, self.info.uid)

    def _load(self) -> FitResult | None:
        assert self._loader is not None
        until = time.monotonic() + _SLICE
        try:
            while time.monotonic() < until:
                next(self._loader)
        except StopIteration as end:
            return end.value
        return None

    def _obey(self, state: Any) -> None:
        request, state.request = state.request, "NONE"
        if request == "PAUSE":
            self.worker.pause()
            state.text = "Pausing…"
        elif request == "CONTINUE":
            self.worker.go_on()
        elif request == "STOP" and not state.stopping:
            self.worker.cancel()
            state.stopping, state.text = True, "Stopping…"
        elif request == "CANCEL" and state.phase != "CANCELLING":
            self.worker.abort()
            self._killed_at = time.monotonic() + _PATIENCE
            state.phase, state.text = "CANCELLING", "Cancelling…"

    def _show(self, state: Any, progress: Progress) -> None:
        state.factor = progress.iteration / max(progress.iterations, 1)
        if progress.iteration > self._step and math.isfinite(progress.loss):  # not while Cycles looks at it
            self._step, state.loss = progress.iteration, progress.loss
            add_loss(state, progress.iteration, progress.loss)
        if state.phase != "CANCELLING" and not state.stopping:
            state.text = f"{progress.stage}: {state.factor:.0%}{time_left(progress.seconds_left)}"

    def _show_previews(self, state: Any) -> None:
        if self.worker.paused != state.paused:
            state.paused = self.worker.paused
            if state.paused:
                state.text = f"Paused at {state.factor:.0%}"
        for index, new in self.worker.previews.items():
            path = str(preview_path(self.folder, index))
            item = next((item for item in state.previews if item.path == path), None) or state.previews.add()
            item.photo, item.camera, item.path = new.photo, new.camera, path
            item.width, item.height = new.width, new.height
            item.serial += 1
            self._news = True
        self.worker.previews.clear()

    def _follow(self, context: bpy.types.Context) -> None:
        """Follow the scene's new name and the choice of the photo that is shown."""
        try:
            scene = self.scene()
        except LikenessError:
            return  # it may come back by an undo; the result waits in its folder in any case
        state = run_state(context)
        if scene.name != self.info.scene:
            self.info.scene = state.scene = scene.name
            write_info(self.folder, self.info)
        # an undo may have taken the identity away, and a copy that was made meanwhile needs one of its own
        session.scene_uid(scene, self.info.uid)
        photos, active = scene.likeness.photos, scene.likeness.active_photo
        name = photos[active].name if 0 <= active < len(photos) else ""
        if name and name != self._shown:
            self._shown = name
            self.worker.show(name)


def time_left(seconds: float) -> str:
    """The time left in words that do not flicker; nothing where it is not known."""
    if not seconds >= 0.0:
        return ""
    if seconds < 50.0:
        return f", {max(5, 5 * round(seconds / 5))} s left"
    minutes = round(seconds / 60.0)
    return f", {minutes} min left" if minutes < 90 else f", {minutes / 60:.1f} h left"
