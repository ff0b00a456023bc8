# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up of the engine by the buttons of the preferences, in background mode, with a package of a few bytes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy
import pytest

import likeness
from likeness import preferences
from likeness.engine import environment
from likeness.engine.environment import Engine, Request
from likeness.operators import engine_setup
from tests.tiny_wheels import MODULES, build_lock, build_wheel

pytestmark = pytest.mark.engine


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the engine, and the small package in place of the real ones."""
    monkeypatch.setenv("LIKENESS_ENGINE_DIR", str(tmp_path / "engine"))
    monkeypatch.delenv("LIKENESS_PYTHON", raising=False)
    lock = build_lock(tmp_path / "lock", build_wheel(tmp_path / "wheels"))
    monkeypatch.setattr(environment, "LOCK_FOLDER", lock)
    monkeypatch.setattr(environment, "MODULES", MODULES)
    return tmp_path / "engine"


@pytest.fixture
def own(root: Path) -> Iterator[Any]:
    """The add-on switched on as Blender does it, with its preferences."""
    bpy.ops.wm.read_factory_settings()
    likeness.register()
    addon = bpy.context.preferences.addons.new()
    addon.module = "likeness"
    yield addon.preferences
    bpy.context.preferences.addons.remove(addon)
    bpy.context.preferences.system.use_online_access = False
    likeness.unregister()


def old_engine(root: Path, request: dict[str, Any] | None = None) -> Engine:
    """An engine that was set up: a name for the Python of these tests."""
    python = root / "engine-old" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    engine = Engine("WHEELS", "engine-old/bin/python", "3.11.7", versions={"torch": "2.13.0"}, size=1_500_000_000)
    engine.request = request or {}
    environment.write_engine(root, engine)
    return engine


@pytest.mark.usefixtures("own")
def test_repair_then_remove(root: Path, tmp_path: Path) -> None:
    """An environment from a folder of wheels, by the buttons, in place of one that is broken."""
    old = old_engine(root, {"source": "WHEELS", "directory": str(tmp_path / "wheels"), "device": "cpu"})
    with pytest.raises(RuntimeError, match="tiny"):
        bpy.ops.likeness.engine_test()
    assert bpy.ops.likeness.engine_repair() == {"FINISHED"}
    state = bpy.context.window_manager.likeness_engine
    assert (state.running, state.text, state.error) == (False, "", "")
    python = Path(preferences.engine_python())
    assert python.is_relative_to(root)
    assert python != environment.python_of(root, old)
    assert not environment.python_of(root, old).exists()
    assert preferences.engine_status().kind == "READY"
    assert bpy.ops.likeness.engine_test() == {"FINISHED"}
    assert bpy.ops.likeness.engine_remove() == {"FINISHED"}
    assert not python.exists()
    with pytest.raises(RuntimeError, match="no engine to repair"):
        bpy.ops.likeness.engine_repair()


def test_network_only_with_permission(own: Any, root: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="may not go online"):
        bpy.ops.likeness.engine_setup(source="ONLINE", device="cpu")
    assert not root.exists()
    assert "may not go online" in bpy.context.window_manager.likeness_engine.error
    bpy.context.preferences.system.use_online_access = True
    own.index_url, own.proxy = "file:///index", "http://proxy:1"
    request = preferences.engine_request("ONLINE", "", "", "cpu", False)
    assert (request.index_url, request.proxy, request.torch_index_url) == ("file:///index", "http://proxy:1", "")


@pytest.mark.usefixtures("own")
def test_failures_are_messages_and_change_nothing(root: Path, tmp_path: Path) -> None:
    engine = old_engine(root)
    for arguments, message in (
        ({"source": "WHEELS"}, "Choose the folder"),
        ({"source": "WHEELS", "directory": str(tmp_path / "gone")}, "gone"),
        ({"source": "PYTHON"}, "Choose the Python"),
        ({"source": "PYTHON", "python": sys.executable}, "lacks or cannot load tiny"),
    ):
        with pytest.raises(RuntimeError, match=message) as caught:
            bpy.ops.likeness.engine_setup(**arguments)
        assert "Traceback" not in str(caught.value)
        assert environment.read_engine(root) == engine
    assert not bpy.ops.likeness.engine_cancel.poll()


@pytest.mark.usefixtures("own")
def test_an_engine_of_another_format_cannot_be_repaired(root: Path) -> None:
    old_engine(root, {"kind": "from the future"})
    with pytest.raises(RuntimeError, match="another version"):
        bpy.ops.likeness.engine_repair()


def test_which_python_runs_the_engine(own: Any, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert preferences.find_engine_python() == sys.executable
    monkeypatch.setenv("LIKENESS_PYTHON", "/from/the/environment")
    assert preferences.find_engine_python() == "/from/the/environment"
    old_engine(root)
    assert preferences.find_engine_python() == str(root / "engine-old" / "bin" / "python")
    own.python = "/chosen"
    assert preferences.find_engine_python() == str(root / "engine-old" / "bin" / "python")
    own.source = "PYTHON"
    assert preferences.find_engine_python() == "/chosen"
    assert preferences.engine_status().kind == "BROKEN"


def test_a_fit_keeps_its_engine(own: Any) -> None:
    bpy.context.window_manager.likeness_run.running = True
    for operator in (bpy.ops.likeness.engine_setup, bpy.ops.likeness.engine_repair, bpy.ops.likeness.engine_remove):
        assert not operator.poll()
    bpy.context.window_manager.likeness_run.running = False


class Modal(engine_setup._Work):
    """What a window's events do with an operator; the bpy module has no windows that send any."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.reports: list[str] = []

    def report(self, _kind: set[str], message: str) -> None:
        self.reports.append(message)

    def _request(self) -> Request:
        return preferences.engine_request("WHEELS", str(self.directory), "", "cpu", False)

    def run(self, cancel_at: str) -> set[str]:
        """Timer events until the end; Cancel is pressed once the text is there."""
        state = bpy.context.window_manager.likeness_engine
        assert self._start(bpy.context)
        assert self.modal(bpy.context, SimpleNamespace(type="MOUSEMOVE")) == {"PASS_THROUGH"}
        while (answer := self.modal(bpy.context, SimpleNamespace(type="TIMER"))) == {"PASS_THROUGH"}:
            if cancel_at in state.text:
                assert bpy.ops.likeness.engine_cancel() == {"FINISHED"}
            assert not bpy.ops.likeness.engine_setup.poll()
            time.sleep(0.02)
        return answer


@pytest.mark.usefixtures("own")
def test_cancel_while_blender_stays_free(root: Path, tmp_path: Path) -> None:
    engine = old_engine(root)
    work = Modal(tmp_path / "wheels")
    assert work.run("Making an environment") == {"CANCELLED"}
    assert work.reports == ["The set-up of the engine was cancelled; nothing has changed."]
    state = bpy.context.window_manager.likeness_engine
    assert (state.running, state.cancel, state.text, state.error) == (False, False, "", "")
    assert environment.read_engine(root) == engine
    assert [path.name for path in root.glob("engine-*")] == ["engine-old"]


@pytest.mark.usefixtures("own")
def test_blender_closes_while_the_engine_is_set_up(root: Path, tmp_path: Path) -> None:
    engine = old_engine(root)
    work = Modal(tmp_path / "wheels")
    assert work._start(bpy.context)
    work.cancel(bpy.context)
    assert environment.read_engine(root) == engine
    assert [path.name for path in root.glob("engine-*")] == ["engine-old"]


def test_leftovers_go_when_blender_starts(root: Path) -> None:
    old_engine(root)
    for name in ("engine-half", "setup-killed"):
        (root / name).mkdir()
    likeness.register()
    likeness.unregister()
    assert sorted(path.name for path in root.iterdir()) == ["engine-old", "engine.json", "engine.lock"]


class Layout:
    """Takes what is drawn and looks up all that it refers to, as Blender's does."""

    def __init__(self, drawn: list[str]) -> None:
        self.__dict__["drawn"] = drawn

    def row(self, **_options: Any) -> Layout:
        return Layout(self.drawn)

    column = box = row

    def prop(self, data: Any, name: str, **_options: Any) -> None:
        assert name in data.bl_rna.properties
        self.drawn.append(name)

    def operator(self, name: str, **_options: Any) -> Any:
        operator = getattr(bpy.ops.likeness, name.removeprefix("likeness."))
        self.drawn.append(operator.get_rna_type().name)
        return SimpleNamespace(**{item.identifier: None for item in operator.get_rna_type().properties})

    def label(self, text: str, **_options: Any) -> None:
        self.drawn.append(text)

    def progress(self, text: str, factor: float) -> None:
        self.drawn.append(f"{text} {factor:.0%}")


def draw(own: Any) -> list[str]:
    """What the preferences show. Blender's own layout exists only while it draws a window."""
    drawn: list[str] = []
    shown = {item.identifier: getattr(own, item.identifier) for item in own.bl_rna.properties}
    methods = {"_draw_state": lambda *given: preferences.LikenessPreferences._draw_state(stand_in, *given)}
    stand_in: Any = SimpleNamespace(layout=Layout(drawn), bl_rna=own.bl_rna, **{**shown, **methods})
    preferences.LikenessPreferences.draw(stand_in, bpy.context)
    return drawn


def test_what_the_preferences_show(own: Any, root: Path) -> None:
    for source, expected in (("ONLINE", "proxy"), ("WHEELS", "trust"), ("PYTHON", "python")):
        own.source = source
        assert expected in draw(own)
    own.source = "ONLINE"
    assert {"Set Up", "Repair", "Test", "Remove"} <= set(draw(own))
    assert any("may not go online" in line for line in draw(own))
    old_engine(root)
    own.show_details = True
    assert {"Ready: torch 2.13.0 (CPU)", "torch 2.13.0", "1.50 GB"} <= set(draw(own))
    state = bpy.context.window_manager.likeness_engine
    state.running, state.text, state.factor = True, "Downloading torch, 2 of 9", 0.25
    assert draw(own)[-2:] == ["Downloading torch, 2 of 9 25%", "Cancel"]
    state.running, state.error = False, "The folder has no wheel of torch"
    assert "The folder has no wheel of torch" in draw(own)
    (root / environment.POINTER).write_text("")
    assert any("damaged" in line for line in draw(own))
