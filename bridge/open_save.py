# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening and saving .blend files outside of Blender's window: the input is read, the output appears whole or not.

The output is written under another name in its folder and then renamed, so that a full disk or a crash leaves the
old file or the new one. Traps handled here: a compressed file that does not fit on the disk is reported as saved, so
files are not compressed; Blender turns the relative paths of its own datablocks to the new place, but not those of
add-ons' properties.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy

from .. import properties
from ..engine.errors import OutputError, SceneError
from . import photo_list

# beside the size of its source and what is packed newly, a .blend needs at most this much
_SLACK_BYTES = 8_000_000


def new_file() -> bpy.types.Scene:
    """Start from an empty file in place of the one that is open; returns its scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    properties.ensure_registered()
    return bpy.context.scene


def open_blend(path: str | os.PathLike[str]) -> bpy.types.Scene:
    """Open a .blend in place of the one that is open and return its current scene; scripts in it do not run.

    Raises :class:`SceneError` where it does not exist, is no .blend, or comes from a newer Blender.
    """
    path = Path(path)
    if not path.exists():
        raise SceneError(f'"{path}" does not exist. Check the path')
    if not path.is_file():
        raise SceneError(f'"{path}" is a folder. Name a .blend file')
    if path.stat().st_size == 0:
        raise SceneError(f'"{path}" is an empty file. Save it from Blender again')
    properties.ensure_registered()
    try:
        bpy.ops.wm.open_mainfile(filepath=str(path.absolute()), load_ui=False, use_scripts=False)
    except RuntimeError as error:
        raise SceneError(
            f'"{path}" cannot be opened ({_reason(error)}). '
            f"It must be a .blend of Blender {bpy.app.version_string} or older"
        ) from error
    return bpy.context.scene


def save_blend(path: str | os.PathLike[str]) -> Path:
    """Save a copy of the open file, which keeps its own name; returns the absolute path of the copy.

    Relative paths are turned to the new place, those of the photo list too. A file that is there is replaced at the
    very end, by a rename, but never the one that is open. Raises :class:`OutputError`, and leaves ``path`` as it was
    then.
    """
    path = Path(path).absolute()
    _check_target(path)
    scratch = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}.blend")
    try:
        with _own_paths_from(path.parent):
            bpy.ops.wm.save_as_mainfile(filepath=str(scratch), copy=True, relative_remap=True, compress=False)
        os.replace(scratch, path)
    except (OSError, RuntimeError) as error:
        raise OutputError(
            f'"{path}" cannot be written ({_reason(error)}). Free some space or choose another'
        ) from error
    finally:
        # "@": what Blender writes before it renames
        for left in (scratch, scratch.with_name(scratch.name + "@")):
            left.unlink(missing_ok=True)
    return path


def _check_target(path: Path) -> None:
    """Raise :class:`OutputError` for a place where the file cannot or must not go."""
    source = Path(bpy.data.filepath) if bpy.data.filepath else None
    if path.suffix.lower() != ".blend":
        raise OutputError(f'output "{path.name}" does not end with .blend. Choose a name that does')
    if source is not None and os.path.realpath(path) == os.path.realpath(source):
        raise OutputError(f'output "{path}" is the input file, which is never overwritten. Choose another name')
    if path.is_dir():
        raise OutputError(f'output "{path}" is a folder. Choose another name')
    if not path.parent.is_dir():
        raise OutputError(f'the folder "{path.parent}" of the output does not exist. Make it first')
    needed = _SLACK_BYTES + sum(image.packed_file.size for image in bpy.data.images if image.packed_file is not None)
    if source is not None and source.is_file():
        needed += source.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise OutputError(
            f'the folder "{path.parent}" has {free / 1e6:.0f} MB free but the output needs up to '
            f"{needed / 1e6:.0f} MB. Free some space or choose another disk"
        )


@contextmanager
def _own_paths_from(folder: Path) -> Iterator[None]:
    """Our relative paths as seen from ``folder`` for a moment; an absolute path stays as the artist gave it.

    In a file that was never saved all paths are absolute, and become relative.
    """
    stored = [photo_list.settings(scene) for scene in bpy.data.scenes if scene.library is None]
    owners = [(item, name) for one in stored for item in one.photos for name in ("path", "mask_path")]
    owners += [(one, "report_dir") for one in stored]
    before = [(owner, name, getattr(owner, name)) for owner, name in owners]
    try:
        for owner, name, value in before:
            if value.startswith("//") or (value and not bpy.data.filepath):
                absolute = photo_list.absolute_path(value)
                try:
                    setattr(owner, name, bpy.path.relpath(absolute, start=str(folder)))
                except ValueError:  # another drive
                    setattr(owner, name, absolute)
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return " ".join(str(error).removeprefix("Error:").split()).rstrip(".")
