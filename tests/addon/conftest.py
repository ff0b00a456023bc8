# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the add-on in Blender."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import bpy
import pytest

import likeness
from tests.addon.checking import ready


@pytest.fixture
def addon() -> Iterator[None]:
    """Blender's start-up scene with the add-on switched on."""
    bpy.ops.wm.read_factory_settings()
    likeness.register()
    yield
    likeness.unregister()


@pytest.fixture
def ready_scene(addon: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scene with a photo, in which nothing but what a test does stands in the way of a fit."""
    monkeypatch.setenv("LIKENESS_PYTHON", sys.executable)
    ready(tmp_path)
