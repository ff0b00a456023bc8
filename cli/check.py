# SPDX-License-Identifier: GPL-3.0-or-later
"""``likeness check``: what of a scene is supported, approximated, ignored or wrong, datablock by datablock."""

from __future__ import annotations

import argparse

from ..engine.errors import EXIT_BAD_INPUT, EXIT_OK
from .console import Console
from .scene import load_scene, scene_path


def run(options: argparse.Namespace, console: Console) -> int:
    """The whole command; exit code 3 where something is wrong enough to stop a fit. Raises a LikenessError."""
    from ..bridge.check import check

    notes = check(load_scene(scene_path(options.scene)))
    for note in notes:
        console.say(
            f"{note.severity:12}  {note.datablock}: {note.message}"
            if note.message != note.severity
            else f"{note.severity:12}  {note.datablock}"
        )
    counts = {severity: sum(note.severity == severity for note in notes) for severity in _SEVERITIES}
    console.say(", ".join(f"{count} {severity}" for severity, count in counts.items() if count))
    return EXIT_BAD_INPUT if counts["error"] else EXIT_OK


_SEVERITIES = ("error", "ignored", "approximated", "supported")
