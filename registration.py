# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender is told about: every class in one ordered tuple, and the command ``blender --command likeness``."""

from __future__ import annotations

from typing import Any

import bpy

from . import cli, preferences, properties
from .operators import apply, check, fit, photos, report, run_state, running, runs
from .panels import fit as fit_panel
from .panels import overlay, overlay_panel, photo_list, settings, targets
from .panels import photos as photos_panel

# Property groups before what points to them, panels before their children.
CLASSES = (
    *preferences.CLASSES,
    *run_state.CLASSES,
    *photos.CLASSES,
    *fit.CLASSES,
    *runs.CLASSES,
    *apply.CLASSES,
    *check.CLASSES,
    *report.CLASSES,
    *photo_list.CLASSES,
    *photos_panel.CLASSES,
    *targets.CLASSES,
    *settings.CLASSES,
    *fit_panel.CLASSES,
    *overlay_panel.CLASSES,
)

# Handle of the command; Blender gives it once, at registration, and wants it back.
_commands: list[Any] = []


def register() -> None:
    """Register everything; does nothing where it is registered already. Raises what Blender raises."""
    if CLASSES[0].is_registered:
        return
    if not properties.is_registered():  # a script may have used Likeness before the add-on was switched on
        properties.register()
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    run_state.register()
    running.register()
    overlay.register()
    _commands.append(bpy.utils.register_cli_command("likeness", cli.main))


def unregister() -> None:
    """Take everything back in reverse order. Safe to call twice."""
    while _commands:
        bpy.utils.unregister_cli_command(_commands.pop())
    running.unregister()
    overlay.unregister()
    run_state.unregister()
    for cls in reversed(CLASSES):
        if cls.is_registered:
            bpy.utils.unregister_class(cls)
    properties.unregister()
