# SPDX-License-Identifier: GPL-3.0-or-later
"""Which scene a command works on: the file that was named, or in Blender the one that is open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..engine.errors import SceneError, UsageError

if TYPE_CHECKING:
    import bpy


def scene_path(named: Path | None) -> Path:
    """The .blend to work on. Raises UsageError where there is none and SceneError where it does not exist."""
    from ..bridge import session

    path = named or session.open_file()
    if path is None:
        raise UsageError("No scene: name a .blend file.")
    if not path.exists():
        raise SceneError(f'Scene "{path}" does not exist; check the path.')
    return path


def load_scene(path: Path) -> bpy.types.Scene:
    """The scene of a .blend, opened unless it is open already. Raises SceneError."""
    from ..bridge import open_save, session

    current = session.open_file()
    if current is not None and current.resolve() == path.resolve():
        return session.current_scene()
    return open_save.open_blend(path)
