# SPDX-License-Identifier: GPL-3.0-or-later
"""Setting the engine up, repairing, trying and removing it.

The work is done by a process of its own. In the GUI a window timer looks ten times a second how far it is; in
background mode the same steps block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .. import preferences
from ..engine import environment
from ..engine.environment import Engine, Request
from ..engine.environment_client import SetUp, Step
from ..engine.errors import LikenessError
from . import preflight
from .engine_state import engine_state
from .run_state import run_state

_INTERVAL = 0.1  # seconds


def _is_free(cls: Any, context: bpy.types.Context) -> bool:
    """Whether the engine may be changed now; says why not."""
    if engine_state(context).running:
        cls.poll_message_set("The engine is being set up")
        return False
    if run_state(context).running:
        cls.poll_message_set("A fit is running, and needs the engine")
        return False
    return True


class _Work:
    """What the operators that start a process have in common; each says with ``_request`` what it asks for."""

    if TYPE_CHECKING:
        report: Callable[[set[str], str], None]  # Blender's

    _set_up: SetUp | None = None
    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _is_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Run to the end, blocking: background mode and scripts."""
        if not self._start(context):
            return {"CANCELLED"}
        assert self._set_up is not None
        try:
            for step in self._set_up.wait():
                self._show(context, step)
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
        assert self._set_up is not None
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        state = engine_state(context)
        if state.cancel and state.text != "Stopping…":
            state.text = "Stopping…"
            self._set_up.cancel()
        try:
            for step in self._set_up.poll():
                self._show(context, step)
        except LikenessError as error:
            return self._fail(context, error)
        return self._finish(context) if self._set_up.engine is not None else {"PASS_THROUGH"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender closes, or loads another file."""
        self._end(context)

    def _start(self, context: bpy.types.Context) -> bool:
        state = engine_state(context)
        state.error = ""
        try:
            request = self._request()
            self._set_up = SetUp(preferences.engine_root(), request)
        except LikenessError as error:
            return bool(self._fail(context, error) == {"FINISHED"})
        state.running, state.cancel, state.factor, state.text = True, False, 0.0, "Starting…"
        return True

    def _show(self, context: bpy.types.Context, step: Step) -> None:
        state = engine_state(context)
        state.factor = step.factor
        if not state.cancel:
            state.text = step.text
        _redraw(context)

    def _finish(self, context: bpy.types.Context) -> set[str]:
        assert self._set_up is not None
        engine = self._set_up.engine
        assert engine is not None
        self._end(context)
        self.report({"INFO"}, self._done(engine))
        return {"FINISHED"}

    def _fail(self, context: bpy.types.Context, error: LikenessError) -> set[str]:
        cancelled = engine_state(context).cancel
        self._end(context)
        if not cancelled:
            engine_state(context).error = str(error)
        self.report({"INFO"} if cancelled else {"ERROR"}, str(error))
        return {"CANCELLED"}

    def _end(self, context: bpy.types.Context) -> None:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if self._set_up is not None:
            self._set_up.close()
        state = engine_state(context)
        state.running, state.cancel, state.text = False, False, ""
        preflight.recheck(context)
        _redraw(context)

    def _request(self) -> Request:
        raise NotImplementedError

    def _done(self, engine: Engine) -> str:
        return f"The engine is ready: {_versions(engine)}"


class LIKENESS_OT_engine_setup(_Work, bpy.types.Operator):
    """Set up the engine that does the fitting, in a Python of its own. The one of before works until this is done"""

    bl_idname = "likeness.engine_setup"
    bl_label = "Set Up"
    bl_options = {"INTERNAL"}

    source: EnumProperty(
        name="Source", description="Where the engine comes from", items=preferences.SOURCES, default="ONLINE"
    )
    directory: StringProperty(
        name="Folder of Wheels", description="Folder that holds the engine's packages as .whl files", subtype="DIR_PATH"
    )
    python: StringProperty(name="Python", description="Python interpreter that has torch and Warp", subtype="FILE_PATH")
    device: EnumProperty(
        name="Device", description="Which build of torch is set up", items=preferences.DEVICES, default="auto"
    )
    trust: BoolProperty(
        name="Trust These Wheels",
        description="Take files from the folder that are not those that Likeness was tested with",
    )

    def _request(self) -> Request:
        return preferences.engine_request(self.source, self.directory, self.python, self.device, self.trust)


class LIKENESS_OT_engine_repair(_Work, bpy.types.Operator):
    """Set the engine up anew, in the same way as before. The one of before works until this is done"""

    bl_idname = "likeness.engine_repair"
    bl_label = "Repair"
    bl_options = {"INTERNAL"}

    def _request(self) -> Request:
        return preferences.repair_request()


class LIKENESS_OT_engine_test(_Work, bpy.types.Operator):
    """Try whether the engine runs, and show its versions"""

    bl_idname = "likeness.engine_test"
    bl_label = "Test"
    bl_options = {"INTERNAL"}

    def _request(self) -> Request:
        return Request("TEST", python=preferences.engine_python())

    def _done(self, engine: Engine) -> str:
        return f"The engine works: {_versions(engine)}"


class LIKENESS_OT_engine_remove(bpy.types.Operator):
    """Remove the engine from the disk. An existing Python that was chosen stays as it is"""

    bl_idname = "likeness.engine_remove"
    bl_label = "Remove"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _is_free(cls, context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            environment.remove(preferences.engine_root())
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        engine_state(context).error = ""
        preflight.recheck(context)
        self.report({"INFO"}, "The engine was removed")
        return {"FINISHED"}


class LIKENESS_OT_engine_cancel(bpy.types.Operator):
    """Stop the set-up. The engine of before stays in use"""

    bl_idname = "likeness.engine_cancel"
    bl_label = "Cancel"
    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if engine_state(context).running:
            return True
        cls.poll_message_set("The engine is not being set up")
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        engine_state(context).cancel = True
        return {"FINISHED"}


CLASSES = (
    LIKENESS_OT_engine_setup,
    LIKENESS_OT_engine_repair,
    LIKENESS_OT_engine_test,
    LIKENESS_OT_engine_remove,
    LIKENESS_OT_engine_cancel,
)


def _versions(engine: Engine) -> str:
    listed = [f"{package} {version}" for package, version in engine.versions.items()]
    return ", ".join([f"Python {engine.python_version}", *listed, engine.device.upper()])


def _redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PREFERENCES", "VIEW_3D"):
                area.tag_redraw()
