# SPDX-License-Identifier: GPL-3.0-or-later
"""What a fit needs to ask Cycles: a copy of the open file in the job folder, and how to start a Blender that renders
it (cycles_service.py)."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from ..engine.cycles_service import BLEND, save_command
from .open_save import save_blend

_ROOT = Path(__file__).resolve().parents[1]


def save_copy(scene: bpy.types.Scene, folder: Path) -> None:
    """Write copy and command for ``scene`` into the job folder ``folder``. Raises OutputError."""
    copy = save_blend(folder / BLEND)
    # the package by its path: in Blender it has another name, and a factory start knows no extension
    start = (
        "import importlib, importlib.util as util, sys; "
        f"spec = util.spec_from_file_location('likeness', {str(_ROOT / '__init__.py')!r}, "
        f"submodule_search_locations=[{str(_ROOT)!r}]); "
        "package = sys.modules['likeness'] = util.module_from_spec(spec); spec.loader.exec_module(package); "
        "service = importlib.import_module('likeness.bridge.cycles_service'); "
        f"service.serve({str(copy)!r}, {scene.name!r})"
    )
    if bpy.app.module:
        save_command(folder, [sys.executable, "-P", "-c", start])  # -P: nothing from the folder it runs in
    else:
        blender = [bpy.app.binary_path, "--background", "--factory-startup", "--python-exit-code", "1"]
        save_command(folder, [*blender, "--python-expr", start])
