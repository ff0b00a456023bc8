# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching the add-on on and off fifty times in one process leaves nothing behind, and the process ends cleanly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = '''
import gc, importlib, json, sys
import bpy
import likeness

KINDS = ["Operator", "Panel", "UIList", "AddonPreferences", "Menu", "Header", "Gizmo", "GizmoGroup"]
# Blender 4.2 never lets go of a property group's class, whoever registered it.
LEAKY = bpy.types.PropertyGroup if bpy.app.version < (4, 5, 0) else ()
if not LEAKY:
    KINDS.append("PropertyGroup")


def own_modules():
    return [name for name in sys.modules if name == "likeness" or name.startswith("likeness.")]


def state():
    """All that Blender and Python know of add-ons."""
    gc.collect()
    handlers = {
        name: len(value) for name in dir(bpy.app.handlers) if isinstance(value := getattr(bpy.app.handlers, name), list)
    }
    subclasses = {kind: len(getattr(bpy.types, kind).__subclasses__()) for kind in KINDS}
    registered = sorted(name for name in dir(bpy.types) if name.startswith(("LIKENESS", "Likeness")))
    properties = {kind: hasattr(getattr(bpy.types, kind), name)
        for kind, name in (("Scene", "likeness"), ("WindowManager", "likeness_run"))}
    operators = list(dir(bpy.ops.likeness))
    ours = [
        thing for thing in gc.get_objects() if isinstance(thing, type) and thing.__module__.startswith("likeness.")
    ]
    classes = sum(not issubclass(thing, LEAKY) for thing in ours)
    keymaps = sum(len(keymap.keymap_items) for keymap in bpy.context.window_manager.keyconfigs.user.keymaps)
    return dict(handlers=handlers, subclasses=subclasses, registered=registered, properties=properties,
        operators=operators, classes=classes, keymaps=keymaps)


def turn(reload):
    """On, used a little, off; with ``reload`` all modules are read anew, as Blender's Reload Scripts does."""
    global likeness
    if reload:
        for name in own_modules():
            del sys.modules[name]
        likeness = importlib.import_module("likeness")
    likeness.register()
    bpy.context.scene.likeness.iterations = 3
    assert not bpy.ops.likeness.apply.poll()
    registered = [name for name in dir(bpy.types) if name.startswith(("LIKENESS", "Likeness"))]
    assert len(registered) > 10
    likeness.unregister()


RELOAD = sys.argv[1] == "reload"
turn(RELOAD)
turn(RELOAD)
before = state()
for _ in range(50):
    turn(RELOAD)
after = state()
print(json.dumps(dict(before=before, after=after)))
if sys.argv[2] == "on":
    likeness.register()  # and is left on: the end of Python has to switch it off, also after a file was opened
    bpy.ops.wm.save_as_mainfile(filepath=sys.argv[3])
    bpy.ops.wm.open_mainfile(filepath=sys.argv[3])
print("end", flush=True)
'''


def versions() -> list[str]:
    """Folders with a bpy of their own, see the Makefile; "": the default one."""
    return ["", *sorted(str(folder) for folder in (ROOT / ".bpy").glob("*") if (folder / "bpy").is_dir())]


@pytest.mark.parametrize("how", ["same modules", "reload"])
@pytest.mark.parametrize("bpy_folder", versions())
def test_fifty_times_on_and_off(bpy_folder: str, how: str, tmp_path: Path) -> None:
    environment = dict(os.environ)
    if bpy_folder:
        environment["PYTHONPATH"] = os.pathsep.join([bpy_folder, environment.get("PYTHONPATH", "")])
    left = "on" if how == "reload" else "off"
    command = [sys.executable, "-X", "faulthandler", "-c", PROGRAM, how, left, str(tmp_path / "a.blend")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=environment, cwd="/")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert done.stdout.splitlines()[-1] == "end"
    assert "Traceback" not in said
    assert "rror" not in done.stderr
    states = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert states["after"] == states["before"]
    assert states["after"]["registered"] == []
    assert not any(states["after"]["properties"].values())
