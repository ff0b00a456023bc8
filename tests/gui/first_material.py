# SPDX-License-Identifier: GPL-3.0-or-later
"""From the zip to the first fitted material, with the mouse, as a new user would.

    blender --python tests/gui/first_material.py

GUI_ZIP names the extension's zip; the rest is in driver.py. Give Blender an empty folder for its settings
(BLENDER_USER_RESOURCES). Screenshots of every step go to GUI_OUT.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from driver import (
    ENGINE,
    OUT,
    ROOT,
    area,
    click,
    context,
    drive,
    on_screen,
    painted_cube,
    photograph,
    region,
    say,
    shot,
    show_sidebar,
    wait,
    xdotool,
)

ZIP = os.environ.get("GUI_ZIP") or str(
    max((ROOT / "dist").glob("likeness-*.zip"), key=lambda file: file.stat().st_mtime)
)
NAME = "bl_ext.user_default.likeness"


def base_color_is_linked() -> bool:
    return bpy.data.materials["Material"].node_tree.nodes["Principled BSDF"].inputs["Base Color"].is_linked


def choose_file(path: Path) -> Iterator[float]:
    """In the file dialog that is open."""
    yield from wait(
        lambda: any(a.type == "FILE_BROWSER" for w in bpy.context.window_manager.windows for a in w.screen.areas),
        10,
        "for the file dialog",
    )
    yield 1.0
    browser = area("FILE_BROWSER")
    browser.spaces.active.params.directory = os.fsencode(path.parent)
    browser.spaces.active.params.filename = path.name
    yield 1.0
    shot("05_file_dialog")
    with context("FILE_BROWSER"):
        bpy.ops.file.execute()
    yield 1.0


def pixels(path: Path) -> np.ndarray:
    """As the file stores them, 0 to 1."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return values.reshape(-1, 4)[:, :3]


def compare_with_photo() -> None:
    """Cycles' render of the applied material, beside the photo that Cycles took of the paint."""
    bpy.context.scene.render.filepath = str(OUT / "render.png")
    bpy.ops.render.render(write_still=True)
    error = pixels(OUT / "render.png") - pixels(OUT / "cube.png")
    psnr = -10 * float(np.log10(np.mean(np.square(error))))
    say("render against photo", round(psnr, 1), "dB")
    assert psnr > 30.0


def steps() -> Iterator[float]:
    os.environ["LIKENESS_JOBS"] = str(OUT / "jobs")
    paint = painted_cube()
    photograph(OUT / "cube.png", paint)
    bpy.ops.wm.save_as_mainfile(filepath=str(OUT / "cube.blend"))

    bpy.ops.extensions.package_install_files(repo="user_default", filepath=ZIP, enable_on_install=True)
    assert NAME in bpy.context.preferences.addons, "the zip was not installed"
    say("installed", ZIP)
    yield from show_sidebar()
    shot("01_installed")

    yield from click(area(), "UI", "likeness.preferences_open")
    yield 2.0
    preferences = area("PREFERENCES")
    own = bpy.context.preferences.addons[NAME].preferences
    own.source, own.python = "PYTHON", ENGINE
    preferences.tag_redraw()
    yield 1.0
    shot("02_preferences")
    yield from click(preferences, "WINDOW", "likeness.engine_setup")
    engine = bpy.context.window_manager.likeness_engine
    yield from wait(lambda: not engine.running, 120, f"for the engine: {engine.error}")
    yield 1.0
    shot("03_engine_ready")
    assert not engine.error, engine.error
    with context("PREFERENCES"):
        bpy.ops.wm.window_close()
    yield 1.0

    yield from click(area(), "UI", "likeness.photo_add")
    yield from choose_file(OUT / "cube.png")
    scene = bpy.context.scene
    assert [photo.name for photo in scene.likeness.photos] == ["cube"]
    shot("06_photo_added")

    scene.likeness.resolution, scene.likeness.texture_size, scene.likeness.iterations = 384, 256, 120
    yield from click(area(), "UI", "likeness.photo_show")
    yield 1.0
    shot("07_camera_view")
    yield from click(area(), "UI", "likeness.fit")
    run = bpy.context.window_manager.likeness_run
    yield from wait(lambda: len(run.previews) > 0, 120, "for the preview")
    yield from wait(lambda: run.factor > 0.5, 120, "for progress")
    shot("08_preview")
    yield from wait(lambda: not run.running, 300, "for the end")
    yield 1.0
    shot("09_done")
    say("slowest tick", round(run.slowest_tick, 1), "ms")
    assert run.slowest_tick < 50.0
    assert not base_color_is_linked()

    yield from click(area(), "UI", "likeness.apply")
    assert base_color_is_linked()
    bpy.context.window_manager.likeness_overlay.show = False
    compare_with_photo()
    area().spaces.active.shading.type = "MATERIAL"
    yield 30.0  # the viewport compiles its shaders in software, and shows white until then
    shot("10_applied")
    view = area()
    xdotool(
        "mousemove",
        *on_screen(view, view.x + view.width / 3, view.y + view.height / 2),
        "sleep",
        "0.3",
        "key",
        "ctrl+z",
    )
    yield 2.0
    assert not base_color_is_linked(), "undo"
    shot("11_undone")
    xdotool("key", "ctrl+shift+z")
    yield 2.0
    assert base_color_is_linked(), "redo"
    shot("12_redone")
    yield from click(area(), "UI", "likeness.before_after")
    assert not base_color_is_linked(), "before"
    shot("13_before")
    yield from click(area(), "UI", "likeness.before_after")
    assert base_color_is_linked(), "after"
    region("UI", area())


drive(steps())
