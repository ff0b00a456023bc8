# SPDX-License-Identifier: GPL-3.0-or-later
"""What Likeness stores in the .blend, as ``scene.likeness``: photo list, targets, settings.

Only plain properties and pointers: a file made with Likeness opens, renders and saves without it. Outside of the
add-on (command line, Python module) :func:`ensure_registered` makes the properties available for the process.
"""

from __future__ import annotations

import atexit

import bpy
from bpy.props import PointerProperty

from ..bridge import photo_files
from . import history, photo, settings, snapshot, targets

# What is pointed to before what points to it.
CLASSES = (*photo.CLASSES, *targets.CLASSES, *history.CLASSES, *snapshot.CLASSES, *settings.CLASSES)


def is_registered() -> bool:
    """Whether ``scene.likeness`` exists in this process."""
    return hasattr(bpy.types.Scene, "likeness")


def register() -> None:
    """Make ``scene.likeness`` available."""
    for cls in CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.Scene.likeness = PointerProperty(
        type=settings.LikenessSettings, name="Likeness", description="Photos, targets and settings of the fit"
    )


def unregister() -> None:
    """Take ``scene.likeness`` away; the data stays in the files. Safe to call twice."""
    if is_registered():
        del bpy.types.Scene.likeness
    for cls in reversed(CLASSES):
        if cls.is_registered:
            bpy.utils.unregister_class(cls)
    photo_files.forget()


def ensure_registered() -> None:
    """Register for this process unless the add-on, or an earlier call, has done so.

    A class that is still registered when the interpreter ends can crash or hang older Blender modules, so the
    registration is taken back then.
    """
    if not is_registered():
        register()
        atexit.register(unregister)
