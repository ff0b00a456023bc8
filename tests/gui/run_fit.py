# SPDX-License-Identifier: GPL-3.0-or-later
"""A fit in Blender's window: overlay, pause, queue, cancel, loading a file, applying; see driver.py.

blender --python tests/gui/run_fit.py
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import addon_utils
import bpy
import numpy as np
from bpy_extras.view3d_utils import location_3d_to_region_2d

sys.path.insert(0, str(Path(__file__).parent))
from driver import (
    NAME,
    OUT,
    area,
    call,
    context,
    drive,
    install,
    on_screen,
    painted_cube,
    photograph,
    say,
    shot,
    show_sidebar,
    wait,
    xdotool,
)


def state() -> object:
    return bpy.context.window_manager.likeness_run


def overlay() -> object:
    return bpy.context.window_manager.likeness_overlay


def press_escape() -> None:
    view = area()
    xdotool(
        "mousemove", *on_screen(view, view.x + view.width / 3, view.y + view.height / 2), "sleep", 0.2, "key", "Escape"
    )


def make_scene() -> Path:
    """A painted cube, photographed, then without its paint. Saved, since runs belong to files."""
    photograph(OUT / "photo.png", painted_cube())
    call("photo_add", "EXEC_DEFAULT", filepath=str(OUT / "photo.png"), camera="Camera")
    settings = bpy.context.scene.likeness
    settings.resolution, settings.texture_size, settings.device = 384, 256, "cpu"
    settings.iterations = 120
    file = OUT / "cube.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(file))
    return file


def same_colours(shot_name: str) -> None:
    """What the screen shows of the photo is what the file holds, pixel for pixel but for their size."""
    screen = bpy.data.images.load(str(OUT / f"{shot_name}.png"))
    photo = bpy.data.images.load(str(OUT / "photo.png"))
    values = {}
    for image in (screen, photo):
        image.colorspace_settings.name = "Non-Color"
        values[image] = np.empty(len(image.pixels), np.float32)
        image.pixels.foreach_get(values[image])
        values[image] = values[image].reshape(image.size[1], image.size[0], 4)[..., :3]
    with context():
        window, view = bpy.context.window_manager.windows[0], area()
        region = bpy.context.region
        scene = bpy.context.scene
        frame = scene.camera.data.view_frame(scene=scene)
        places = [
            location_3d_to_region_2d(region, view.spaces.active.region_3d, scene.camera.matrix_world @ corner)
            for corner in frame
        ]
    left, right = min(p.x for p in places) + region.x, max(p.x for p in places) + region.x
    low, high = min(p.y for p in places) + region.y, max(p.y for p in places) + region.y
    assert window.height == screen.size[1]
    worst = 0.0
    for x, y in ((0.05, 0.05), (0.5, 0.8), (0.36, 0.65), (0.63, 0.3), (0.38, 0.35), (0.9, 0.9), (0.3, 0.2)):
        row, column = int(low + y * (high - low)), int(left + x * (right - left))
        there = int(y * photo.size[1]), int(x * photo.size[0])
        means = [
            values[image][i - half : i + half + 1, j - half : j + half + 1].mean((0, 1))
            for image, (i, j), half in ((screen, (row, column), 6), (photo, there, 7))
        ]
        worst = max(worst, float(np.abs(means[0] - means[1]).max()))
    say("worst difference from the photo's values", round(worst * 255, 2), "of 255")
    assert worst < 5 / 255  # the photo is noisy
    bpy.data.images.remove(screen)
    bpy.data.images.remove(photo)


def steps() -> Iterator[float]:
    os.environ["LIKENESS_JOBS"] = str(OUT / "jobs")
    install()
    file = make_scene()
    view = area()
    view.spaces.active.shading.type = "SOLID"
    view.spaces.active.region_3d.view_perspective = "CAMERA"
    yield from show_sidebar()
    shot("00_idle")

    call("fit")
    assert state().phase == "READING"
    yield from wait(lambda: len(state().previews) > 0)
    yield from wait(lambda: state().factor > 0.25)
    shot("01_running")
    for mode in ("PHOTO", "DIFFERENCE", "WIPE"):
        overlay().mode = mode
        view.tag_redraw()
        yield 0.5
        shot(f"02_{mode.lower()}")
    overlay().mode = "FIT"
    say("slowest tick", state().slowest_tick, "ms at", state().text)

    call("pause")
    yield from wait(lambda: state().paused, 10)
    at = state().factor
    yield 1.5
    assert state().factor == at
    shot("03_paused")
    call("pause")
    yield from wait(lambda: state().factor > at, 20)

    call("fit", queue=True)
    yield 0.3
    shot("04_queue")
    call("queue_remove", index=0)

    with context():
        bpy.ops.ed.undo_push(message="a step")
        bpy.ops.ed.undo()
        bpy.ops.ed.redo()
    press_escape()
    yield from wait(lambda: state().phase != "RUNNING", 10)
    began = time.time()
    yield from wait(lambda: not state().running, 3)
    say("cancelled after", round(time.time() - began, 2), "s")
    yield 0.5
    shot("05_cancelled")
    assert state().stopped
    assert not state().has_result

    call("fit", resume=True)
    yield from wait(lambda: state().factor > 0)
    bpy.ops.wm.open_mainfile(filepath=str(file))  # in the middle of the run
    yield 2.0
    assert not state().running
    area().spaces.active.region_3d.view_perspective = "CAMERA"
    yield from show_sidebar()
    yield 2.0
    call("runs_refresh")
    say("open runs", [item.text for item in state().open_runs])
    assert len(state().open_runs) == 1
    yield 1.0
    shot("06_offered")
    call("fit", resume=True, folder=state().open_runs[0].folder)
    yield from wait(lambda: state().phase == "IDLE", 300)
    assert state().has_result, state().text
    say("slowest tick", state().slowest_tick, "ms")
    yield 1.0
    overlay().mode = "WIPE"
    view = area()
    view.tag_redraw()
    yield 0.5
    shot("07_done")
    overlay().mode = "PHOTO"
    view.tag_redraw()
    yield 0.5
    shot("08_photo_at_the_end")
    same_colours("08_photo_at_the_end")
    overlay().mode, overlay().opacity = "DIFFERENCE", 0.5
    view.spaces.active.region_3d.view_perspective = "PERSP"
    overlay().inset = True
    yield 0.5
    shot("09_inset")
    overlay().mode, overlay().opacity = "BEFORE", 1.0
    view.tag_redraw()
    yield 0.5
    shot("10_inset_before")
    call("apply", "EXEC_DEFAULT", True)
    yield 0.5
    shot("11_applied")

    bpy.context.scene.likeness.iterations = 50_000
    call("fit")
    yield from wait(lambda: state().phase == "RUNNING" and state().factor > 0)
    addon_utils.disable(NAME, default_set=True)  # in the middle of the run
    yield 2.0
    shot("12_disabled")
    install_again = addon_utils.enable(NAME, default_set=True)
    assert install_again is not None
    yield 3.0
    call("runs_refresh")
    say("open runs", [item.text for item in state().open_runs])
    assert len(state().open_runs) == 1
    assert state().open_runs[0].can_resume


drive(steps())
