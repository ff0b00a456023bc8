# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender is told about: every module in one ordered tuple, and the command ``blender --command likeness``."""

from __future__ import annotations

import atexit
from typing import Any

import bpy

from . import cli, preferences, properties
from .engine import environment
from .operators import (
    apply,
    before_after,
    check,
    engine_setup,
    engine_state,
    fit,
    history,
    job,
    photo_camera,
    photo_files,
    photos,
    preflight,
    report,
    run_state,
    running,
    runs,
)
from .operators import targets as targets_operators
from .panels import fit as fit_panel
from .panels import history as history_panel
from .panels import overlay, overlay_panel, photo_list, settings, targets
from .panels import photos as photos_panel
from .panels import preflight as preflight_panel

# Property groups before what points to them, panels in the order of the sidebar, before their children. A module has
# CLASSES, or register and unregister for what is no class, or both.
MODULES = (
    preferences,
    engine_state,
    engine_setup,
    run_state,
    preflight,
    photos,
    photo_files,
    photo_camera,
    targets_operators,
    running,
    fit,
    runs,
    apply,
    before_after,
    history,
    job,
    check,
    report,
    photo_list,
    photos_panel,
    targets,
    fit_panel,
    overlay,
    overlay_panel,
    preflight_panel,
    history_panel,
    settings,
)
CLASSES = tuple(cls for module in MODULES for cls in getattr(module, "CLASSES", ()))

# Handle of the command; Blender gives it once, at registration, and wants it back.
_commands: list[Any] = []


def register() -> None:
    """Register everything; does nothing where it is registered already. Raises what Blender raises.

    Blender switches add-ons off before it ends; a script with the bpy module may not, and a class that is still
    registered when the interpreter ends can crash or hang older Blender modules.
    """
    if CLASSES[0].is_registered:
        return
    if not properties.is_registered():  # a script may have used Likeness before the add-on was switched on
        properties.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    for module in MODULES:
        if hasattr(module, "register"):
            module.register()
    environment.clean(preferences.engine_root())  # of a set-up that did not end
    atexit.register(unregister)
    _commands.append(bpy.utils.register_cli_command("likeness", cli.main))


def unregister() -> None:
    """Take everything back in reverse order. Safe to call twice."""
    atexit.unregister(unregister)
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    for module in reversed(MODULES):
        if hasattr(module, "unregister"):
            module.unregister()
    for cls in reversed(CLASSES):
        if cls.is_registered:
            bpy.utils.unregister_class(cls)
    properties.unregister()
