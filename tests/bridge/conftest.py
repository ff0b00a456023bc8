# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that need Blender."""

from __future__ import annotations

import pytest

bpy = pytest.importorskip("bpy")


@pytest.fixture
def startup_file() -> None:
    """Blender's factory scene: Cube, Light, Camera."""
    bpy.ops.wm.read_factory_settings()


@pytest.fixture
def empty_file() -> None:
    """A file with one empty scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
