# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on preferences: the Python that runs the engine, and where jobs are kept."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import bpy

from .engine.errors import EngineMissingError
from .engine.run import engine_installed


class LikenessPreferences(bpy.types.AddonPreferences):
    """Set-up of the engine, which runs in a Python of its own (Blender's has no torch)."""

    bl_idname = __package__ or "likeness"

    python: bpy.props.StringProperty(
        name="Engine Python",
        description="Python interpreter in which Likeness' engine is installed. Empty: the environment variable "
        "LIKENESS_PYTHON, or Blender's own Python where it has torch and Warp",
        subtype="FILE_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        self.layout.prop(self, "python")
        row = self.layout.row()
        python = find_engine_python()
        row.alert = python is None
        row.label(
            text=f"Engine: {python}" if python else "No engine yet: make a virtual environment with torch and Warp",
            icon="CHECKMARK" if python else "ERROR",
        )


CLASSES = (LikenessPreferences,)


def find_engine_python() -> str | None:
    """The interpreter for the worker: the preference, LIKENESS_PYTHON, or this one where it has the engine."""
    addon = bpy.context.preferences.addons.get(__package__ or "")
    chosen: Any = getattr(addon.preferences, "python", "") if addon is not None and addon.preferences else ""
    if chosen:
        return bpy.path.abspath(chosen)
    if os.environ.get("LIKENESS_PYTHON"):
        return os.environ["LIKENESS_PYTHON"]
    return sys.executable if engine_installed() else None


def engine_python() -> str:
    """As find_engine_python; raises EngineMissingError where there is none, or the file is gone."""
    python = find_engine_python()
    if python is None:
        raise EngineMissingError(
            "The engine is not set up: this Python has no torch or no Warp. Choose one that has in the preferences of "
            "the add-on, or name it in the environment variable LIKENESS_PYTHON"
        )
    if not Path(python).is_file():
        raise EngineMissingError(
            f'The engine\'s Python "{python}" does not exist. Choose another in the preferences of the add-on, or name '
            "it in the environment variable LIKENESS_PYTHON"
        )
    return python


def jobs_folder() -> Path:
    """Where fits are kept: LIKENESS_JOBS, the add-on's own folder, or Blender's temporary one where it has none."""
    chosen = os.environ.get("LIKENESS_JOBS")
    if chosen:
        Path(chosen).mkdir(parents=True, exist_ok=True)
        return Path(chosen)
    try:
        return Path(bpy.utils.extension_path_user(__package__, path="jobs", create=True))
    except ValueError:  # not installed as an extension, as with the bpy module
        return Path(bpy.app.tempdir)


def new_job_folder() -> Path:
    """An empty folder for a fit."""
    return Path(tempfile.mkdtemp(prefix="fit-", dir=jobs_folder()))
