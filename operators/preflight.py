# SPDX-License-Identifier: GPL-3.0-or-later
"""The pre-flight check: looking at the scene, and the buttons that fix what was found.

Findings are kept on the window manager, so they are never saved into a .blend. Undo and loading a file bring data back
without telling anyone who changed it, hence the handlers.
"""

from __future__ import annotations

import time
from typing import Any

import bpy
from bpy.app.handlers import persistent
from bpy.props import BoolProperty, CollectionProperty, EnumProperty, PointerProperty, StringProperty

from .. import preferences
from ..bridge import fixes, preflight
from ..engine.errors import EngineMissingError, LikenessError

_TRUSTED = 1.0  # seconds that the answer to "may Fit be pressed" is kept while Blender draws
_ROOT = __package__.rpartition(".")[0] if __package__ else "likeness"


class LikenessFinding(bpy.types.PropertyGroup):
    """One finding of the pre-flight check."""

    severity: EnumProperty(
        name="Severity",
        description="How bad it is",
        items=[
            ("error", "Error", "The fit cannot start"),
            ("warning", "Warning", "The fit can start, without this"),
            ("info", "Info", "Worth knowing"),
        ],
    )
    datablock: StringProperty(name="Datablock", description="What it is about")
    message: StringProperty(name="Message", description="What was found, and what to do")
    fix: StringProperty(name="Fix", description="Kind of likeness.fix that mends it")
    argument: StringProperty(name="Argument", description="Datablock that the fix is done to")
    button: StringProperty(name="Button", description="Text of the button of the fix")
    operator: StringProperty(name="Operator", description="Another operator that helps")


class LikenessPreflight(bpy.types.PropertyGroup):
    """The last pre-flight check."""

    scene: StringProperty(name="Scene", description="Scene that was checked")
    engine: StringProperty(name="Engine", description="Why the engine cannot run. Empty: it can")
    has_errors: BoolProperty(name="Has Errors", description="Something keeps the fit from starting")
    reason: StringProperty(name="Reason", description="The first error, in one line")
    show_info: BoolProperty(name="Show Hints", description="Show what is worth knowing, too")
    findings: CollectionProperty(type=LikenessFinding, name="Findings", description="What was found, the worst first")


def recheck(context: bpy.types.Context) -> None:
    """Look at the scene again and show what is found. Operators that change photos or data call it at their end."""
    preflight.update(context.scene, _engine_trouble())


# what blocked() said last: scene, time, answer
_answer: list[Any] = ["", 0.0, ""]


def blocked(context: bpy.types.Context) -> str:
    """Why Fit cannot be pressed, "" where it can: for its poll, which Blender calls at each redraw.

    Costs nothing while the last check found no error. An error may have been mended by hand since: then the scene is
    looked at again, in the sidebar once a second.
    """
    state = context.window_manager.likeness_preflight
    scene = context.scene
    if state.scene != scene.name or not state.has_errors:
        return ""
    now = time.monotonic()
    if bpy.app.background or _answer[0] != scene.name or now - _answer[1] > _TRUSTED:
        _answer[:] = [scene.name, now, preflight.first_error(scene, _engine_trouble())]
    return _answer[2]


def _engine_trouble() -> str:
    try:
        preferences.engine_python()
    except EngineMissingError as error:
        status = preferences.engine_status()
        return "is not set up yet" if status.kind == "NONE" else str(error)
    return ""


class LIKENESS_OT_preflight(bpy.types.Operator):
    """Look for what is missing or unsupported, before the fit"""

    bl_idname = "likeness.preflight"
    bl_label = "Check Again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        recheck(context)
        state = context.window_manager.likeness_preflight
        if state.has_errors:
            self.report({"WARNING"}, state.reason)
        else:
            self.report({"INFO"}, "Nothing keeps the fit from starting")
        return {"FINISHED"}


class LIKENESS_OT_fix(bpy.types.Operator):
    """Mend what the pre-flight check has found"""

    bl_idname = "likeness.fix"
    bl_label = "Fix"
    bl_options = {"REGISTER", "UNDO"}

    kind: EnumProperty(
        name="Kind",
        description="What to do",
        items=[(kind, fix.label, fix.description) for kind, fix in fixes.FIXES.items()],
    )
    argument: StringProperty(name="Argument", description="Full name of the datablock that it is done to")

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return fixes.FIXES[properties.kind].description

    def execute(self, context: bpy.types.Context) -> set[str]:
        try:
            message = fixes.run_fix(context.scene, self.kind, self.argument)
        except LikenessError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        recheck(context)
        self.report({"INFO"}, message)
        return {"FINISHED"}


class LIKENESS_OT_preferences_open(bpy.types.Operator):
    """Open the preferences of Likeness, where the engine is set up"""

    bl_idname = "likeness.preferences_open"
    bl_label = "Set Up Engine"

    def execute(self, context: bpy.types.Context) -> set[str]:
        if bpy.app.background:
            self.report({"INFO"}, "The engine is set up in the preferences of the add-on, or by LIKENESS_PYTHON")
            return {"FINISHED"}
        bpy.ops.screen.userpref_show("INVOKE_DEFAULT")
        if _ROOT in context.preferences.addons:
            bpy.ops.preferences.addon_show(module=_ROOT)
        return {"FINISHED"}


CLASSES = (
    LikenessFinding,
    LikenessPreflight,
    LIKENESS_OT_preflight,
    LIKENESS_OT_fix,
    LIKENESS_OT_preferences_open,
)


@persistent
def _after_undo(*_arguments: Any) -> None:
    scene = bpy.context.scene
    if scene is not None and bpy.context.window_manager.likeness_preflight.scene:
        preflight.update(scene)


@persistent
def _after_load(*_arguments: Any) -> None:
    """Another file: what was found in the one before means nothing here."""
    preflight.forget()
    _check_soon()


def _check_soon() -> None:
    """Look at the scene once Blender is ready for it, so that the sidebar begins with what there is to do."""
    if not bpy.app.background and not bpy.app.timers.is_registered(_first_check):
        bpy.app.timers.register(_first_check, first_interval=0.2, persistent=True)  # as in run_state


def _first_check() -> None:
    if bpy.context.scene is not None:
        recheck(bpy.context)


_HANDLERS = (("undo_post", _after_undo), ("redo_post", _after_undo), ("load_post", _after_load))


def register() -> None:
    """Make ``window_manager.likeness_preflight`` available; the classes are registered before."""
    bpy.types.WindowManager.likeness_preflight = PointerProperty(type=LikenessPreflight)
    for name, handler in _HANDLERS:
        getattr(bpy.app.handlers, name).append(handler)
    _check_soon()


def unregister() -> None:
    """Take it away. Safe to call twice."""
    if bpy.app.timers.is_registered(_first_check):
        bpy.app.timers.unregister(_first_check)
    for name, handler in _HANDLERS:
        handlers = getattr(bpy.app.handlers, name)
        if handler in handlers:
            handlers.remove(handler)
    if hasattr(bpy.types.WindowManager, "likeness_preflight"):
        del bpy.types.WindowManager.likeness_preflight
