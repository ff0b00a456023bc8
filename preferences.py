# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on preferences: the Python that runs the engine, how it is set up, and where jobs are kept."""

from __future__ import annotations

import os
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import bpy
from bpy.props import BoolProperty, EnumProperty, StringProperty

from .engine import environment
from .engine.environment import Request, State
from .engine.errors import EngineMissingError, UsageError
from .engine.run import engine_installed

SOURCES = (
    ("ONLINE", "Download", "Download the packages, about 0.5 GB, with CUDA about 4 GB"),
    ("WHEELS", "Folder of Wheels", "Take the packages from a folder, without any network"),
    ("PYTHON", "Existing Python", "Use a Python that has torch and Warp already"),
)
DEVICES = (
    ("auto", "Automatic", "CUDA where the machine has an NVIDIA card, else CPU"),
    ("cpu", "CPU", "The processor: smaller, and runs anywhere"),
    ("cuda", "CUDA", "NVIDIA cards: larger, and runs on the processor as well"),
)


class LikenessPreferences(bpy.types.AddonPreferences):
    """Set-up of the engine, which runs in a Python of its own (Blender's has no torch)."""

    bl_idname = __package__ or "likeness"

    source: EnumProperty(name="Engine", description="Where the engine comes from", items=SOURCES, default="ONLINE")
    python: StringProperty(
        name="Python",
        description="Python interpreter that has torch and Warp. It runs the engine while Existing Python is chosen",
        subtype="FILE_PATH",
    )
    wheels: StringProperty(
        name="Folder",
        description="Folder that holds the engine's packages as .whl files",
        subtype="DIR_PATH",
    )
    trust: BoolProperty(
        name="Trust These Wheels",
        description="Take files from the folder that are not those that Likeness was tested with, such as other builds "
        "of torch. They run as programs on this computer",
    )
    device: EnumProperty(name="Device", description="Which build of torch is set up", items=DEVICES, default="auto")
    index_url: StringProperty(
        name="Package Index", description="Address of a package index to use in place of the public one"
    )
    torch_index_url: StringProperty(
        name="Torch Index",
        description="Address of a package index from which torch alone comes. What comes from there is checked by its "
        "version, not against Likeness's own list",
    )
    proxy: StringProperty(
        name="Proxy", description="Proxy for the download: http://user:password@host:port. Empty: that of the system"
    )
    show_details: BoolProperty(name="Details", description="Show versions, folder and size of the engine")

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        state = context.window_manager.likeness_engine
        self._draw_state(layout, state.error)
        if state.running:
            layout.progress(factor=state.factor, text=state.text)
            layout.operator("likeness.engine_cancel", icon="CANCEL")
            return
        column = layout.column()
        column.prop(self, "source")
        for name in _FIELDS[self.source]:
            column.prop(self, name)
        if self.source == "ONLINE" and not bpy.app.online_access:
            column.label(text="Blender may not go online: see System > Network in the preferences", icon="ERROR")
        row = layout.row(align=True)
        button = row.operator("likeness.engine_setup", icon="IMPORT")
        button.source, button.device, button.trust = self.source, self.device, self.trust
        button.directory, button.python = self.wheels, self.python
        row.operator("likeness.engine_repair", icon="FILE_REFRESH")
        row.operator("likeness.engine_test", icon="PLAY")
        row.operator("likeness.engine_remove", icon="TRASH")

    def _draw_state(self, layout: Any, error: str) -> None:
        found = engine_status()
        row = layout.row()
        row.alert = found.kind != "READY"
        row.label(text=found.text, icon="CHECKMARK" if found.kind == "READY" else "ERROR")
        if error:
            box = layout.box().column(align=True)
            for line in _wrapped(error):
                box.label(text=line)
        if found.engine is None:
            return
        layout.prop(self, "show_details", toggle=True)
        if self.show_details:
            box = layout.box().column(align=True)
            for line in _details(found):
                box.label(text=line)


# What matters for each source.
_FIELDS = {
    "ONLINE": ("device", "index_url", "torch_index_url", "proxy"),
    "WHEELS": ("wheels", "device", "trust"),
    "PYTHON": ("python",),
}

CLASSES = (LikenessPreferences,)


def engine_root() -> Path:
    """The folder of the engine: LIKENESS_ENGINE_DIR, or the add-on's own; nothing is made."""
    if os.environ.get("LIKENESS_ENGINE_DIR"):
        return Path(os.environ["LIKENESS_ENGINE_DIR"])
    try:
        return Path(bpy.utils.extension_path_user(__package__, path="engine", create=False))
    except ValueError:  # not installed as an extension, as with the bpy module
        return Path(bpy.utils.user_resource("DATAFILES", path="likeness")) / "engine"


def engine_status() -> State:
    """What an artist should know of the engine that runs the fits, wherever it comes from."""
    state = environment.state_of(engine_root())
    chosen = _existing_python()
    if chosen:
        there = Path(chosen).is_file()
        return State("READY" if there else "BROKEN", f"Existing Python: {chosen}{'' if there else ' does not exist'}")
    if state.kind == "NONE" and (python := find_engine_python()):
        return State("READY", f"Ready: {python}")
    return state


def engine_request(source: Any, directory: str, python: str, device: Any, trust: bool) -> Request:
    """What Set Up asks for; addresses are those of the preferences. Raises UsageError, EngineMissingError."""
    if source == "WHEELS" and not directory:
        raise UsageError("Choose the folder that holds the wheels of the engine.")
    if source == "PYTHON" and not python:
        raise UsageError("Choose the Python that has torch and Warp.")
    request = Request(source, device=device)
    if source == "ONLINE":
        _go_online(request)
    elif source == "WHEELS":
        request.directory, request.trust = bpy.path.abspath(directory), trust
    else:
        request.python = bpy.path.abspath(python)
    return request


def repair_request() -> Request:
    """What Repair asks for: the same as the set-up before. Raises EngineMissingError."""
    engine = environment.read_engine(engine_root())
    if engine is None:
        raise EngineMissingError("There is no engine to repair; set it up.")
    try:
        request = Request(**engine.request)
    except TypeError as error:
        raise EngineMissingError("The engine was set up by another version of Likeness; set it up anew.") from error
    if request.source == "ONLINE":
        _go_online(request)
    return request


def find_engine_python() -> str | None:
    """The interpreter for the worker: an existing one that was chosen in the preferences, the one that was set up,
    LIKENESS_PYTHON, or this one where it has the engine."""
    chosen = _existing_python()
    if chosen:
        return chosen
    engine = environment.read_engine(engine_root())
    if engine is not None:
        return str(environment.python_of(engine_root(), engine))
    if os.environ.get("LIKENESS_PYTHON"):
        return os.environ["LIKENESS_PYTHON"]
    return sys.executable if engine_installed() else None


def engine_python() -> str:
    """As find_engine_python; raises EngineMissingError where there is none, or the file is gone."""
    python = find_engine_python()
    if python is None:
        raise EngineMissingError(
            "The engine is not set up: this Python has no torch or no Warp. Press Set Up in the preferences of the "
            "add-on, or name a Python that has them in the environment variable LIKENESS_PYTHON"
        )
    if not Path(python).is_file():
        raise EngineMissingError(
            f'The engine\'s Python "{python}" does not exist. Repair the engine or set it up in the preferences of the '
            "add-on, or name another in the environment variable LIKENESS_PYTHON"
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


def _addon_preferences() -> Any:
    """The add-on's preferences; None where Blender does not know it as an add-on, as with the bpy module."""
    addon = bpy.context.preferences.addons.get(__package__ or "")
    return addon.preferences if addon is not None else None


def _existing_python() -> str:
    own = _addon_preferences()
    return bpy.path.abspath(own.python) if own is not None and own.source == "PYTHON" and own.python else ""


def _go_online(request: Request) -> None:
    """Fill in the addresses of the preferences. Raises EngineMissingError where the user allows no network."""
    if not bpy.app.online_access:
        raise EngineMissingError(
            'Blender may not go online: tick "Allow Online Access" under System > Network in its preferences, or set '
            "the engine up from a folder of wheels."
        )
    own = _addon_preferences()
    for name in ("index_url", "torch_index_url", "proxy"):
        setattr(request, name, getattr(own, name, ""))


def _details(state: State) -> list[str]:
    engine = state.engine
    assert engine is not None
    lines = [f"{package} {version}" for package, version in engine.versions.items()]
    lines = [f"Python {engine.python_version}, {engine.device.upper()}, set up {engine.made}", ", ".join(lines)]
    lines.append(str(environment.python_of(engine_root(), engine)))
    if engine.size:
        lines.append(f"{engine.size / 1e9:.2f} GB")
    if engine.unlocked:
        lines.append(f"Checked by version only: {', '.join(engine.unlocked)}")
    return [part for line in lines for part in _wrapped(line)]


def _wrapped(text: str) -> list[str]:
    # a label is one line; file names must not be torn
    return textwrap.wrap(text, 90, break_long_words=False, break_on_hyphens=False)
