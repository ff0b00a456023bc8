# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests of the add-on in Blender."""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import pytest

import likeness


@pytest.fixture
def addon() -> Iterator[None]:
    """Blender's start-up scene with the add-on switched on."""
    bpy.ops.wm.read_factory_settings()
    likeness.register()
    yield
    likeness.unregister()
