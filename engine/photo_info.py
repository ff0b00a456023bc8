# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo's file says about itself without being decoded: size, orientation, lens, colour profile.

JPEG, PNG, TIFF, WebP, OpenEXR and Radiance, with nothing but the standard library, so that Blender can show it. Only
headers are read, whatever the size of the file.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from . import photo_exif
from .errors import PhotoError
from .photo_exif import DamagedError, Exif, Lens, exif_of, lens_of, read_directory, take

# What can be added to a photo list.
SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".exr", ".hdr")
# Larger blocks hold no profile and no EXIF data but pixels, or are damaged.
_LARGEST_BLOCK = 1 << 24
_TURNED = (5, 6, 7, 8)
_UNPACKED_PROFILE = 1 << 22
_NO_SIZE_MARKERS = (0xC4, 0xC8, 0xCC)
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PNG_XMP = b"XML:com.adobe.xmp\0"


@dataclass(frozen=True)
class PhotoInfo:
    """The header of an image file."""

    format: str  # "JPEG", "PNG", "TIFF", "WebP", "OpenEXR", "Radiance"
    width: int  # as stored
    height: int
    exif: Exif = field(default_factory=Exif)
    profile: str = ""  # description of the embedded ICC profile
    alpha: bool = False  # it has an alpha channel, or a transparent colour
    damaged_exif: bool = False  # the picture is well, what the camera wrote about it is not

    @property
    def linear(self) -> bool:
        """Whether the values are scene-linear."""
        return self.format in ("OpenEXR", "Radiance")

    @property
    def turned(self) -> bool:
        """Whether the upright picture has the other side up: a portrait that is stored as landscape."""
        return self.exif.orientation in _TURNED

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (self.height, self.width) if self.turned else (self.width, self.height)

    @property
    def lens(self) -> Lens | None:
        """Lens and sensor, None where the file says nothing of them."""
        return lens_of(self.exif, self.size)

    @property
    def summary(self) -> str:
        """One line for the artist: "4000 x 3000, sRGB, f = 24 mm"."""
        colour = self.profile or ("linear" if self.linear else "sRGB")
        parts = [f"{self.size[0]} x {self.size[1]}", colour]
        if self.exif.focal_length is not None:
            parts.append(f"f = {self.exif.focal_length:.4g} mm")
        elif self.exif.focal_length_35 is not None:
            parts.append(f"f = {self.exif.focal_length_35:.4g} mm on 35 mm film")
        if self.alpha:
            parts.append("alpha")
        if self.damaged_exif:
            parts.append("damaged EXIF")
        return ", ".join(parts)


def read_photo_info(path: str) -> PhotoInfo:
    """Read the header of an image file. Raises PhotoError where it is missing, empty, damaged or no such file."""
    file = Path(path)
    if not file.is_file():
        raise PhotoError(f'There is no file "{path}"; choose the photo anew.')
    try:
        with file.open("rb") as opened:
            return _read(opened)
    except (DamagedError, OSError, struct.error) as error:
        reason = "its header is damaged" if isinstance(error, struct.error) else getattr(error, "strerror", error)
        raise PhotoError(
            f'The file "{path}" cannot be read ({reason}); save it again as PNG, JPEG, TIFF or OpenEXR.'
        ) from error


def _read(file: BinaryIO) -> PhotoInfo:
    start = file.read(16)
    if not start:
        raise DamagedError("it is empty, 0 bytes")
    file.seek(0)
    for matches, read in _FORMATS:
        if matches(start):
            info = read(file)
            if info.width <= 0 or info.height <= 0:
                raise DamagedError("its picture has no pixels")
            return info
    raise DamagedError("it is no JPEG, PNG, TIFF, WebP, OpenEXR or Radiance picture")


def _made(
    format: str, size: tuple[int, int], exif: bytes | None, icc: bytes | None, xmp: bytes | None, alpha: bool
) -> PhotoInfo:
    """The outcome of formats that hold EXIF data as a block."""
    tags: dict[int, Any] = {}
    damaged = False
    if exif is not None:
        try:
            tags = read_directory(io.BytesIO(exif.removeprefix(b"Exif\0\0")))
        except DamagedError:
            damaged = True
    return PhotoInfo(format, *size, exif_of(tags, size, xmp), _profile_name(icc), alpha, damaged)


def _block(file: BinaryIO, length: int) -> bytes:
    if length > _LARGEST_BLOCK:
        raise DamagedError("one of its blocks is damaged")
    return take(file, length)


# ── JPEG (ITU-T T.81, annex B; ICC.1:2022, annex B.4) ──


def _read_jpeg(file: BinaryIO) -> PhotoInfo:
    take(file, 2)
    size: tuple[int, int] | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    icc: dict[int, bytes] = {}
    while True:
        marker = _jpeg_marker(file)
        if marker in (0xD9, 0xDA):  # end of image, start of pixels
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # no content
            continue
        (length,) = struct.unpack(">H", take(file, 2))
        if length < 2:
            raise DamagedError("one of its blocks is damaged")
        data = take(file, length - 2)
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE_MARKERS:
            height, width = struct.unpack(">HH", data[1:5])
            size = width, height
        elif marker == 0xE1 and data.startswith(b"Exif\0") and exif is None:
            exif = data[6:]
        elif marker == 0xE1 and data.startswith(_JPEG_XMP):
            xmp = data
        elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0") and len(data) > 14:
            icc[data[12]] = data[14:]
    if size is None:
        raise DamagedError("it ends before its picture")
    return _made("JPEG", size, exif, b"".join(icc[part] for part in sorted(icc)) or None, xmp, False)


def _jpeg_marker(file: BinaryIO) -> int:
    if take(file, 1) != b"\xff":
        raise DamagedError("one of its blocks is damaged")
    marker = 0xFF
    while marker == 0xFF:  # any number of these may stand before
        marker = take(file, 1)[0]
    return marker


# ── PNG (W3C, Portable Network Graphics, third edition) ──


def _read_png(file: BinaryIO) -> PhotoInfo:
    take(file, 8)
    found: dict[bytes, bytes] = {}
    while True:
        length, kind = struct.unpack(">I4s", take(file, 8))
        if kind in (b"IHDR", b"iCCP", b"eXIf", b"tRNS"):
            found.setdefault(kind, _block(file, length))
            take(file, 4)  # checksum
        elif kind == b"iTXt" and length <= _LARGEST_BLOCK:
            text = take(file, length)
            if text.startswith(_PNG_XMP):
                found[kind] = text
            take(file, 4)
        elif b"IHDR" not in found:
            raise DamagedError("its first block is damaged")
        elif kind == b"IEND":
            break
        else:
            file.seek(length + 4, 1)
            if kind == b"IDAT" and b"eXIf" in found:
                break  # nothing of interest comes after the pixels
    width, height, _, colour = struct.unpack(">IIBB", found[b"IHDR"][:10])
    icc = None
    if b"iCCP" in found:
        _, _, packed = found[b"iCCP"].partition(b"\0")
        with suppress(zlib.error):
            icc = zlib.decompressobj().decompress(packed[1:], _UNPACKED_PROFILE)
    alpha = colour in (4, 6) or b"tRNS" in found
    return _made("PNG", (width, height), found.get(b"eXIf"), icc, found.get(b"iTXt"), alpha)


# ── WebP (RFC 9649) ──


def _read_webp(file: BinaryIO) -> PhotoInfo:
    take(file, 12)
    size: tuple[int, int] | None = None
    alpha = False
    blocks: dict[bytes, bytes] = {}
    for kind, length in _riff_chunks(file):
        if kind == b"VP8X":
            flags, width, height = struct.unpack("<B3x3s3s", _block(file, length)[:10])
            alpha = bool(flags & 0x10)
            size = int.from_bytes(width, "little") + 1, int.from_bytes(height, "little") + 1
        elif kind == b"VP8 " and size is None:
            width, height = struct.unpack("<HH", take(file, 10)[6:])
            size = width & 0x3FFF, height & 0x3FFF
        elif kind == b"VP8L" and size is None:
            bits = int.from_bytes(take(file, 5)[1:], "little")
            size, alpha = ((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1), bool(bits >> 28 & 1)
        elif kind in (b"EXIF", b"ICCP", b"XMP "):
            blocks[kind] = _block(file, length)
    if size is None:
        raise DamagedError("it ends before its picture")
    return _made("WebP", size, blocks.get(b"EXIF"), blocks.get(b"ICCP"), blocks.get(b"XMP "), alpha)


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    while True:
        head = file.read(8)
        if not head.strip(b"\0"):
            return
        kind, length = struct.unpack("<4sI", head)
        start = file.tell()
        yield kind, length
        file.seek(start + length + length % 2)


# ── TIFF ──


def _read_tiff(file: BinaryIO) -> PhotoInfo:
    tags = read_directory(file)
    width, height = tags.get(photo_exif.IMAGE_WIDTH), tags.get(photo_exif.IMAGE_HEIGHT)
    if not isinstance(width, int) or not isinstance(height, int):
        raise DamagedError("it does not say its size")
    stored = width, height
    extra = tags.get(photo_exif.EXTRA_SAMPLES, 0)
    alpha = any(kind in (1, 2) for kind in (extra if isinstance(extra, tuple) else (extra,)))
    icc = tags.get(photo_exif.ICC_PROFILE)
    profile = _profile_name(icc if isinstance(icc, bytes) else None)
    return PhotoInfo("TIFF", *stored, exif_of(tags, stored), profile, alpha)


# ── OpenEXR (OpenEXR File Layout) ──


def _read_exr(file: BinaryIO) -> PhotoInfo:
    take(file, 8)
    window: tuple[int, int, int, int] | None = None
    alpha = False
    while name := _terminated(file):
        _terminated(file)  # type
        (length,) = struct.unpack("<I", take(file, 4))
        value = _block(file, length)
        if name == b"dataWindow":
            window = struct.unpack("<4i", value)
        elif name == b"channels":
            alpha = any(channel == b"A" or channel.endswith(b".A") for channel in _exr_channels(value))
    if window is None:
        raise DamagedError("it does not say its size")
    left, top, right, bottom = window
    return PhotoInfo("OpenEXR", right - left + 1, bottom - top + 1, alpha=alpha)


def _exr_channels(value: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(value) and value[at]:
        end = value.find(b"\0", at)
        if end < 0:
            raise DamagedError("its list of channels is damaged")
        yield value[at:end]
        at = end + 17  # type, linearity, reserved, sampling


def _terminated(file: BinaryIO) -> bytes:
    text = bytearray()
    while (byte := take(file, 1)) != b"\0":
        text += byte
        if len(text) > 255:
            raise DamagedError("its header is damaged")
    return bytes(text)


# ── Radiance ──


def _read_hdr(file: BinaryIO) -> PhotoInfo:
    for _ in range(1000):
        line = file.readline(4096)
        if not line.endswith(b"\n"):
            raise DamagedError("it ends before its picture")
        if not line.strip():
            break
    words = file.readline(256).split()
    sides: dict[bytes, int] = {}
    for axis, length in zip(words[::2], words[1::2], strict=False):
        sides[axis[1:]] = int(length) if length.isdigit() else 0
    if {*sides} != {b"X", b"Y"}:
        raise DamagedError("it does not say its size")
    return PhotoInfo("Radiance", sides[b"X"], sides[b"Y"])


# ── ICC profile (ICC.1:2022 and, for the older text, ICC.1:2001-04) ──


def _profile_name(icc: bytes | None) -> str:
    """The description of a profile; "unnamed profile" where it cannot be read, "" where there is no profile."""
    if not icc:
        return ""
    name = ""
    with suppress(struct.error):
        (count,) = struct.unpack_from(">I", icc, 128)
        for index in range(min(count, 100)):
            tag, offset, length = struct.unpack_from(">4sII", icc, 132 + 12 * index)
            if tag == b"desc":
                name = _icc_text(icc[offset : offset + length])
                break
    return name or "unnamed profile"


def _icc_text(data: bytes) -> str:
    if data[:4] == b"mluc":
        length, offset = struct.unpack_from(">II", data, 20)
        return data[offset : offset + length].decode("utf-16-be", "replace").strip("\0 ")
    (length,) = struct.unpack_from(">I", data, 8)
    return data[12 : 12 + length].decode("latin-1").strip("\0 ")


_FORMATS: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO], PhotoInfo]], ...] = (
    (lambda start: start.startswith(b"\xff\xd8"), _read_jpeg),
    (lambda start: start.startswith(b"\x89PNG\r\n\x1a\n"), _read_png),
    (lambda start: start.startswith(b"RIFF") and start[8:12] == b"WEBP", _read_webp),
    (lambda start: start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), _read_tiff),
    (lambda start: start.startswith(b"\x76\x2f\x31\x01"), _read_exr),
    (lambda start: start.startswith(b"#?"), _read_hdr),
)
