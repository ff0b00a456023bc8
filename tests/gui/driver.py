# SPDX-License-Identifier: GPL-3.0-or-later
"""What scripts that drive Blender's window share: screenshots, the mouse, waiting. Run inside Blender.

Settings, from the environment:

    GUI_OUT      folder for screenshots; made if need be                      (out/gui)
    GUI_ENGINE   interpreter that has the engine                              (.venv/bin/python of this checkout)

Screenshots are taken with ImageMagick's ``import``, mouse and keys are ``xdotool``'s, so an X screen is needed (Xvfb
will do). The last line that a script prints is PASSED or FAILED.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import addon_utils
import bpy
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(os.environ.get("GUI_OUT") or ROOT / "out" / "gui")
ENGINE = os.environ.get("GUI_ENGINE") or str(ROOT / ".venv" / "bin" / "python")
NAME = f"bl_ext.likeness_test.{ROOT.name}"
_BEGAN = time.time()


def say(*words: object) -> None:
    """To the log, with the time."""
    print(f"[{time.time() - _BEGAN:6.2f}]", *words, flush=True)


def area(kind: str = "VIEW_3D") -> bpy.types.Area:
    """The first area of that kind, in any window."""
    for window in bpy.context.window_manager.windows:
        for found in window.screen.areas:
            if found.type == kind:
                return found
    raise LookupError(f"no {kind} is open")


def _window_of(wanted: bpy.types.Area) -> bpy.types.Window:
    for window in bpy.context.window_manager.windows:
        if any(found == wanted for found in window.screen.areas):
            return window
    raise LookupError("the area is closed")


def region(kind: str, of: bpy.types.Area) -> bpy.types.Region:
    """The region of that kind in an area."""
    return next(found for found in of.regions if found.type == kind)


def context(kind: str = "VIEW_3D") -> Any:
    """A context as if the mouse were in that area."""
    place = area(kind)
    window = _window_of(place)
    # windows like the preferences have a screen of their own, which cannot be given
    given = {} if window.screen.is_temporary else {"screen": window.screen}
    return bpy.context.temp_override(window=window, area=place, region=region("WINDOW", place), **given)


def call(name: str, *how: str, **properties: object) -> set[str]:
    """An operator of Likeness, as its button would call it."""
    with context():
        return getattr(bpy.ops.likeness, name)(*(how or ("INVOKE_DEFAULT",)), **properties)


def shot(name: str) -> None:
    """A picture of the screen; Blender's own screenshot is black with software OpenGL."""
    subprocess.run(["import", "-window", "root", str(OUT / f"{name}.png")], check=False)
    say("shot", name)


def xdotool(*words: object) -> None:
    """Mouse and keys."""
    subprocess.run(["xdotool", *map(str, words)], check=True)


def on_screen(place: bpy.types.Area, x: float, y: float) -> tuple[int, int]:
    """X's coordinates of a point in Blender's. The main window covers the screen; Blender counts from below."""
    window = _window_of(place)
    screen = bpy.context.window_manager.windows[0].height
    return int(window.x + x), int(screen - window.y - y)


def wait(condition: Callable[[], object], seconds: float = 120.0, what: str = "") -> Iterator[float]:
    """``yield from wait(…)`` until the condition holds; AssertionError after some time."""
    until = time.time() + seconds
    while not condition():
        assert time.time() < until, f"waited {seconds} s in vain {what}"
        yield 0.1


def button(place: bpy.types.Area, kind: str, command: str) -> Iterator[float]:
    """Move the mouse over a region until the button of an operator is below it; ``command`` as in Python.

    Blender tells nobody where its buttons are, but copies the Python command of the one below the mouse.
    """
    for _ in range(4):
        within = region(kind, place)
        for share in (0.3, 0.75, 0.1, 0.95):
            for y in range(within.y + within.height - 8, within.y + 4, -14):
                x, row = on_screen(place, within.x + share * within.width, y)
                bpy.context.window_manager.clipboard = ""
                xdotool("mousemove", x, row, "sleep", "0.05", "key", "ctrl+c")
                yield 0.12
                if f".{command}(" in bpy.context.window_manager.clipboard:
                    say("found", bpy.context.window_manager.clipboard, "at", x, row)
                    return
        middle = on_screen(place, within.x + within.width / 2, within.y + within.height / 2)
        xdotool("mousemove", *middle, "sleep", "0.1", "click", "--repeat", 8, 5)  # the wheel
        yield 0.5
    raise LookupError(f"no button of {command} in the {kind} of {place.type}")


def click(place: bpy.types.Area, kind: str, command: str) -> Iterator[float]:
    """Press the button of an operator with the mouse."""
    yield from button(place, kind, command)
    xdotool("click", 1)
    yield 0.5


def show_sidebar() -> Iterator[float]:
    """Open the Likeness tab."""
    area().spaces.active.show_region_ui = True
    yield 1.0
    region("UI", area()).active_panel_category = "Likeness"
    yield 1.0


def install() -> None:
    """The checkout as an extension, from a repository of its own, with the engine of GUI_ENGINE."""
    repos = bpy.context.preferences.extensions.repos
    for repo in [repo for repo in repos if repo.module.startswith("likeness_test")]:  # of an earlier run
        repos.remove(repo)
    repos.new(name="Likeness Test", module="likeness_test", custom_directory=str(ROOT.parent))
    assert addon_utils.enable(NAME, default_set=True) is not None, NAME
    own = bpy.context.preferences.addons[NAME].preferences
    own.source, own.python = "PYTHON", ENGINE


def painted_cube() -> bpy.types.Image:
    """Blender's start-up scene with coloured squares on its cube, and light from all around."""
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 32, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 960, 540, 100
    scene.world.node_tree.nodes["Background"].inputs["Strength"].default_value = 4.0
    shader = bpy.data.materials["Material"].node_tree
    image = bpy.data.images.new("Paint", 64, 64)
    y, x = np.mgrid[0:64, 0:64] // 8
    paint = np.ones((64, 64, 4), np.float32)
    paint[..., 0], paint[..., 1], paint[..., 2] = (x % 3) / 2.5, (y % 4) / 3.5, ((x + y) % 2) * 0.8
    image.pixels.foreach_set(paint.ravel())
    texture = shader.nodes.new("ShaderNodeTexImage")
    texture.image = image
    shader.links.new(texture.outputs["Color"], shader.nodes["Principled BSDF"].inputs["Base Color"])
    return image


def photograph(path: Path, image: bpy.types.Image) -> None:
    """Render the scene to a file by Cycles, then take the paint away."""
    scene = bpy.context.scene
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    shader = bpy.data.materials["Material"].node_tree
    shader.nodes.remove(next(node for node in shader.nodes if node.type == "TEX_IMAGE"))
    bpy.data.images.remove(image)


def drive(steps: Iterator[float]) -> None:
    """Run a script's steps, each after the pause that the one before asked for; then close Blender."""
    OUT.mkdir(parents=True, exist_ok=True)
    bpy.context.preferences.view.show_splash = False

    def tick() -> float | None:
        try:
            return next(steps)
        except StopIteration:
            say("PASSED")
        except BaseException:
            traceback.print_exc()
            shot("failed")
            say("FAILED")
        sys.stdout.flush()
        bpy.ops.wm.quit_blender()
        return None

    bpy.app.timers.register(tick, first_interval=2.0, persistent=True)
