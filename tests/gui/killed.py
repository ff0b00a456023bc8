# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender is killed in the middle of a fit: the next one offers to go on, and the file is unharmed; see driver.py.

blender --python tests/gui/killed.py      twice: the first one kills itself
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from driver import OUT, area, call, click, drive, install, painted_cube, photograph, say, shot, show_sidebar, wait

FILE = OUT / "killed.blend"


def first() -> Iterator[float]:
    install()
    photograph(OUT / "killed.png", painted_cube())
    call("photo_add", "EXEC_DEFAULT", filepath=str(OUT / "killed.png"), camera="Camera")
    settings = bpy.context.scene.likeness
    settings.resolution, settings.texture_size, settings.device, settings.iterations = 256, 256, "cpu", 3000
    bpy.ops.wm.save_as_mainfile(filepath=str(FILE))
    call("fit")
    run = bpy.context.window_manager.likeness_run
    yield from wait(lambda: (Path(run.folder) / "checkpoint.pt").exists(), 200, "for a checkpoint")
    say("killed at", run.factor)
    os.kill(os.getpid(), signal.SIGKILL)


def second() -> Iterator[float]:
    install()
    bpy.ops.wm.open_mainfile(filepath=str(FILE))
    yield 1.0
    assert [photo.name for photo in bpy.context.scene.likeness.photos] == ["killed"]
    yield from show_sidebar()
    run = bpy.context.window_manager.likeness_run
    yield from wait(lambda: len(run.open_runs) == 1, 20, "for the offer")
    say(run.open_runs[0].text)
    assert run.open_runs[0].has_checkpoint
    shot("1_offered")
    yield from click(area(), "UI", "likeness.run_resume")
    yield from wait(lambda: run.running and run.factor > 0.0, 60, "for the fit to go on")
    say("goes on at", run.factor)
    assert run.factor > 0.02, "it began anew"
    call("stop")
    yield from wait(lambda: run.has_result and not run.running, 120, "for the result")
    shot("2_done")


def steps() -> Iterator[float]:
    os.environ["LIKENESS_JOBS"] = str(OUT / "jobs")
    yield from second() if FILE.exists() else first()


drive(steps())
