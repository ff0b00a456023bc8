# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF directories, which hold the EXIF data of every file format, and the lens that they describe.

Needs the standard library only: Blender's Python has no Pillow. Format: TIFF 6.0 (Adobe 1992), BigTIFF, and
CIPA DC-008-2019 (EXIF 2.32) for the tags.
"""

from __future__ import annotations

import math
import os
import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

# Values larger than this are pixels or a maker's secrets, none of which matter here.
_LARGEST_VALUE = 1 << 22
_TYPES = {1: "B", 2: "s", 3: "H", 4: "I", 5: "II", 6: "b", 7: "s", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d",
          13: "I", 16: "Q", 17: "q", 18: "Q"}  # fmt: skip
_RATIONALS = (5, 10)
_MM_OF_UNIT = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}  # of FocalPlaneResolutionUnit; 4 and 5 are customary

IMAGE_WIDTH, IMAGE_HEIGHT, MAKE, MODEL, ORIENTATION = 0x0100, 0x0101, 0x010F, 0x0110, 0x0112
EXTRA_SAMPLES, ICC_PROFILE = 0x0152, 0x8773
_XMP = 0x02BC
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_EXIF_IFD, _FOCAL_LENGTH, _PIXEL_X, _PIXEL_Y = 0x8769, 0x920A, 0xA002, 0xA003
_FOCAL_PLANE_X, _FOCAL_PLANE_Y, _FOCAL_PLANE_UNIT, _FOCAL_LENGTH_35 = 0xA20E, 0xA20F, 0xA210, 0xA405

# Sides of a sensor, in millimetres, between those of an endoscope and of a large-format camera.
_PLAUSIBLE_SENSOR = (1.0, 300.0)
# The two ways to know a sensor agree to this factor, or the file was scaled after it was taken.
_AGREEMENT = 1.1
_DIAGONAL_35 = math.hypot(36.0, 24.0)


class DamagedError(ValueError):
    """The bytes are not what their format says; the message continues "the file cannot be read (…)"."""


def take(file: BinaryIO, count: int) -> bytes:
    """The next ``count`` bytes. Raises DamagedError where there are fewer."""
    data = file.read(count)
    if len(data) != count:
        raise DamagedError("it ends too early")
    return data


@dataclass(frozen=True)
class Exif:
    """What a camera wrote about a picture; None or "" where it did not."""

    orientation: int = 1  # 1 … 8, what the stored row 0 and column 0 are in the scene
    focal_length: float | None = None  # mm
    focal_length_35: float | None = None  # mm of the lens that takes the same picture on 36 x 24 mm film
    sensor: tuple[float, float] | None = None  # mm along the stored rows and columns, from the focal plane resolution
    make: str = ""
    model: str = ""


@dataclass(frozen=True)
class Lens:
    """Lens and sensor for a Blender camera with sensor fit AUTO, which puts the sensor's width along the longer side
    of a picture, landscape or portrait."""

    focal_length: float  # mm
    sensor: tuple[float, float] | None  # mm, the longer side first; None: not in the file
    source: str  # what it was taken from, for the artist


def read_directory(file: BinaryIO) -> dict[int, Any]:
    """All tags of the first TIFF directory and of its EXIF directory, below one roof.

    Numbers come alone or as tuples, texts as ``str``, profiles and other data as ``bytes``. ``file`` stands at the
    TIFF header. A tag that points outside of the file is left out. Raises DamagedError where there is no directory.
    """
    return _Tiff(file).tags()


class _Tiff:
    def __init__(self, file: BinaryIO) -> None:
        self._file, self._start = file, file.tell()
        self._length = file.seek(0, os.SEEK_END) - self._start
        header = self._at(0, 8)
        self._order = {b"II": "<", b"MM": ">"}.get(header[:2], "")
        magic = struct.unpack(self._order + "H", header[2:4])[0] if self._order else 0
        if magic not in (42, 43):
            raise DamagedError("its header is no TIFF header")
        self._big = magic == 43
        # formats of: number of entries, count of an entry's values, offsets
        self._formats = ("Q", "Q", "Q") if self._big else ("H", "I", "I")
        self._first = self._number(8 if self._big else 4, self._formats[2])

    def _at(self, offset: int, count: int) -> bytes:
        if offset < 0 or offset + count > self._length:
            raise DamagedError("it ends too early")
        self._file.seek(self._start + offset)
        return take(self._file, count)

    def _number(self, offset: int, code: str) -> int:
        return struct.unpack(self._order + code, self._at(offset, struct.calcsize("=" + code)))[0]

    def tags(self) -> dict[int, Any]:
        found = self._directory(self._first)
        pointer = found.get(_EXIF_IFD)
        if isinstance(pointer, int):
            with suppress(DamagedError):  # the picture is well without
                found = {**self._directory(pointer), **found}
        return found

    def _directory(self, offset: int) -> dict[int, Any]:
        count_code, values_code, offset_code = self._formats
        count = self._number(offset, count_code)
        if count > 4096:
            raise DamagedError("its directory is damaged")
        head, place = struct.calcsize("=HH" + values_code), struct.calcsize("=" + offset_code)
        first = offset + struct.calcsize("=" + count_code)
        found: dict[int, Any] = {}
        for index in range(count):
            at = first + index * (head + place)
            tag, kind, values = struct.unpack(self._order + "HH" + values_code, self._at(at, head))
            code = _TYPES.get(kind)
            if code is None:
                continue
            size = values * struct.calcsize("=" + code)
            if not 0 < size <= _LARGEST_VALUE:
                continue
            try:
                data = self._at(at + head if size <= place else self._number(at + head, offset_code), size)
            except DamagedError:
                continue
            found.setdefault(tag, self._values(tag, kind, code, data))
        return found

    def _values(self, tag: int, kind: int, code: str, data: bytes) -> Any:
        if kind == 7 or tag in (_XMP, ICC_PROFILE):
            return data
        if kind == 2:
            return data.split(b"\0")[0].decode("utf-8", "replace").strip()
        numbers = [value for (value,) in struct.iter_unpack(self._order + code[0], data)]
        if kind in _RATIONALS:
            numbers = [a / b if b else math.nan for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
        return numbers[0] if len(numbers) == 1 else tuple(numbers)


def exif_of(tags: dict[int, Any], size: tuple[int, int], xmp: bytes | None = None) -> Exif:
    """The tags that matter to a camera. ``size`` is that of the stored picture, where the tags do not say theirs.

    Where they do not say the orientation, the file's XMP data may.
    """
    orientation = tags.get(ORIENTATION)
    if orientation is None:
        said = _XMP_ORIENTATION.search(xmp or tags.get(_XMP) or b"")
        orientation = int(said[1]) if said else 1
    return Exif(
        orientation=orientation if orientation in range(1, 9) else 1,
        focal_length=_positive(tags, _FOCAL_LENGTH),
        focal_length_35=_positive(tags, _FOCAL_LENGTH_35),
        sensor=_sensor(tags, size),
        make=_text(tags, MAKE),
        model=_text(tags, MODEL),
    )


def _positive(tags: dict[int, Any], tag: int) -> float | None:
    value = tags.get(tag)
    # 0 and infinity stand for "unknown"
    return float(value) if isinstance(value, int | float) and math.isfinite(value) and value > 0 else None


def _text(tags: dict[int, Any], tag: int) -> str:
    value = tags.get(tag)
    return value if isinstance(value, str) else ""


def _sensor(tags: dict[int, Any], size: tuple[int, int]) -> tuple[float, float] | None:
    """Size of the sensor: pixels by pixels per unit of length on it."""
    unit = _MM_OF_UNIT.get(tags.get(_FOCAL_PLANE_UNIT, 2))
    across, down = _positive(tags, _FOCAL_PLANE_X), _positive(tags, _FOCAL_PLANE_Y)
    if unit is None or across is None:
        return None
    # the picture as the camera wrote it: programs that scale photos often keep all of these tags as they were
    width, height = _positive(tags, _PIXEL_X) or size[0], _positive(tags, _PIXEL_Y) or size[1]
    if (width > height) != (size[0] > size[1]):  # turned by a program that kept the tags
        width, height = height, width
    sensor = (width / across * unit, height / (down or across) * unit)
    return sensor if all(_PLAUSIBLE_SENSOR[0] <= side <= _PLAUSIBLE_SENSOR[1] for side in sensor) else None


def lens_of(exif: Exif, size: tuple[int, int]) -> Lens | None:
    """Lens and sensor of a picture of ``size`` (width, height); None where the file does not know the focal length.

    The focal plane resolution is exact, unless the file was scaled by a program that kept the tag: then it disagrees
    with the equivalent focal length, which goes by the diagonal (CIPA DCG-001-2018) and holds at any size.
    """
    longer, shorter = max(size), min(size)
    equivalent: Lens | None = None
    if exif.focal_length_35 is not None:
        focal_length = exif.focal_length or exif.focal_length_35
        diagonal = _DIAGONAL_35 * focal_length / exif.focal_length_35
        unit = diagonal / math.hypot(longer, shorter)
        source = f"{exif.focal_length_35:g} mm on 35 mm film"
        equivalent = Lens(focal_length, (longer * unit, shorter * unit), source)
    if exif.focal_length is None:
        return equivalent
    if exif.sensor is None:
        return equivalent or Lens(exif.focal_length, None, "its focal length alone")
    plane = Lens(exif.focal_length, (max(exif.sensor), min(exif.sensor)), "its focal plane resolution")
    if equivalent is not None and equivalent.sensor is not None and plane.sensor is not None:
        ratio = plane.sensor[0] / equivalent.sensor[0]
        if not 1 / _AGREEMENT < ratio < _AGREEMENT:
            return equivalent
    return plane
