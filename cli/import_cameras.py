# SPDX-License-Identifier: GPL-3.0-or-later
"""``likeness import-cameras``: calibrated photos become a .blend with cameras, photo list and, if given, the mesh."""

from __future__ import annotations

import argparse

from ..engine.errors import EXIT_OK, SceneError
from .console import Console
from .outputs import check_output


def run(options: argparse.Namespace, console: Console) -> int:
    """The whole command; returns the exit code. Raises a LikenessError."""
    for source in filter(None, (options.transforms, options.mesh)):
        if not source.is_file():
            raise SceneError(f'"{source}" does not exist; check the path.')
    check_output(options.output, (".blend",), [])

    from ..bridge.import_cameras import import_cameras
    from ..bridge.open_save import new_file, save_blend

    imported = import_cameras(options.transforms, options.mesh, new_file())
    for note in imported.notes:
        if note.severity != "supported":
            console.warn(f"{note.datablock}: {note.message}")
    save_blend(options.output)
    console.say(f"Wrote {options.output}: {len(imported.cameras)} cameras, {len(imported.meshes)} mesh objects.")
    return EXIT_OK
