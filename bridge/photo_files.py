# SPDX-License-Identifier: GPL-3.0-or-later
"""The files behind the photo list: their paths, what their headers say, and their thumbnails.

Panels ask at every redraw, so headers and thumbnails are kept by path and time of change, and files are looked at
once a second at most. Nothing of this is stored in the .blend.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import bpy
import bpy.utils.previews  # not part of bpy before it is imported

from ..engine.errors import PhotoError
from ..engine.photo_info import PhotoInfo, read_photo_info

_LOOK_AGAIN = 1.0  # seconds


@dataclass
class _Known:
    """What was found out about a file."""

    looked: float
    stamp: tuple[int, int] | None  # time of change and size; None: there is no file
    info: PhotoInfo | None
    problem: str
    icon: int | None = None  # None: not asked for yet


_known: dict[str, _Known] = {}
# Blender's collection of previews; made when the first thumbnail is asked for.
_previews: list[Any] = []


def stored_path(path: str) -> str:
    """A path as the .blend keeps it: relative to a saved file on the same drive, absolute otherwise."""
    if path.startswith("//"):
        return path
    absolute = os.path.abspath(os.path.expanduser(path))
    if not bpy.data.filepath:
        return absolute
    try:
        return bpy.path.relpath(absolute)
    except ValueError:  # another drive
        return absolute


def absolute_path(path: str) -> str:
    """The file that a stored path names."""
    return os.path.normpath(bpy.path.abspath(path))


def file_name(path: str) -> str:
    """The last part of a stored path, whichever system wrote it."""
    return path.replace("\\", "/").rpartition("/")[2]


def is_missing(path: str) -> bool:
    """Whether a stored path names a file that is not there."""
    return bool(path) and not os.path.isfile(absolute_path(path))


def photo_info(path: str) -> PhotoInfo:
    """The header of the file that a stored path names. Raises PhotoError."""
    known = _look(path)
    if known.info is None:
        raise PhotoError(known.problem)
    return known.info


def summary(path: str) -> str:
    """What the file is, in one line; "" where it cannot be used."""
    info = _look(path).info
    return info.summary if info is not None else ""


def problem(path: str) -> str:
    """Why the file cannot be used; "" where it can."""
    return _look(path).problem


def has_alpha(path: str) -> bool:
    """Whether the file has an alpha channel."""
    info = _look(path).info
    return info is not None and info.alpha


def thumbnail(path: str) -> int:
    """Number of the icon that shows the file, 0 where there is none. Blender loads it in the background.

    It shows the picture as Blender loads it: Blender does not turn photos upright.
    """
    known = _look(path)
    if known.icon is None:
        known.icon = _load_preview(absolute_path(path)) if known.info is not None else 0
    return known.icon


def forget() -> None:
    """Free all thumbnails and forget all headers. Safe to call twice."""
    _known.clear()
    while _previews:
        bpy.utils.previews.remove(_previews.pop())


def _look(path: str) -> _Known:
    if not path:
        return _Known(0.0, None, None, "No file is chosen")
    file = absolute_path(path)
    now = time.monotonic()
    known = _known.get(file)
    if known is not None and now - known.looked < _LOOK_AGAIN:
        return known
    stamp = _stamp(file)
    if known is not None and stamp == known.stamp:
        known.looked = now
        return known
    try:
        _known[file] = _Known(now, stamp, read_photo_info(file), "")
    except PhotoError as error:
        _known[file] = _Known(now, stamp, None, str(error))
    return _known[file]


def _stamp(file: str) -> tuple[int, int] | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _load_preview(file: str) -> int:
    if not _previews:
        _previews.append(bpy.utils.previews.new())
    collection = _previews[0]
    if file in collection:  # another picture by now
        del collection[file]
    return int(collection.load(file, file, "IMAGE").icon_id)
