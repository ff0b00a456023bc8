# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the add-on in Blender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

import likeness
from likeness.bridge.photo_list import add_photo
from tests.addon.checking import ready


@pytest.fixture
def addon() -> Iterator[None]:
    """Blender's start-up scene with the add-on switched on."""
    bpy.ops.wm.read_factory_settings()
    likeness.register()
    yield
    likeness.unregister()


@pytest.fixture
def addon_with_photo(addon: None) -> None:
    """The same, with a photo in the list.

    Fixtures are kept here: one that a test module imports by name lives until Blender is gone, which crashes 4.2.
    """
    add_photo(bpy.context.scene, "Camera", "//photo.png")


@pytest.fixture
def ready_scene(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene with a photo, in which nothing but what a test does stands in the way of a fit."""
    monkeypatch.setenv("LIKENESS_PYTHON", sys.executable)
    ready(tmp_path)
