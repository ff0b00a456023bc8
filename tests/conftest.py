# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of several rooms share."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli_scenes import Outcome, Run, build_scene, save_photo


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 64 KiB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def photo_of_start_up_scene(tmp_path: Path) -> Path:
    """A picture of any content for the camera of Blender's start-up scene."""
    from PIL import Image

    file = tmp_path / "photo = ä.png"
    Image.radial_gradient("L").resize((96, 54)).convert("RGB").save(file)
    return file


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Run a command of the command line in this process."""
    from likeness import cli

    def call(*arguments: object) -> Outcome:
        capfd.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an awkward name and a photo."""
    place = tmp_path / "ein Ordner = ä"
    place.mkdir()
    save_photo(place / "photo=1 ö.png")
    return place


@pytest.fixture
def scene(folder: Path) -> Path:
    """The start-up scene as a .blend, see build_scene."""
    return build_scene(folder / "scene ü.blend")
