# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files in and out: OpenEXR, Radiance HDR (reading only) and PNG of 8 or 16 bits.

Arrays have row 0 at the bottom, files at the top; the flip happens here and nowhere else.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from .errors import OutputError
from .files import atomic_path, write_atomic


def write_exr(path: Path | str, pixels: np.ndarray) -> None:
    """Write scene-linear ``pixels`` [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (alpha last) as 32-bit float, ZIP.

    Raises:
        OutputError: the file cannot be written.
    """
    import OpenEXR

    flipped = np.ascontiguousarray(np.atleast_3d(pixels)[::-1], np.float32)
    channels = {1: "Y", 3: "RGB", 4: "RGBA"}[flipped.shape[2]]
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with atomic_path(path) as temporary:
        data = {channels: flipped if flipped.shape[2] > 1 else flipped[..., 0]}
        try:
            OpenEXR.File(header, data).write(str(temporary))
        except RuntimeError as error:  # the library's only one
            raise OutputError(f'"{path}" cannot be written: {_one_line(error)}') from error


def read_exr(path: Path | str) -> tuple[np.ndarray, np.ndarray | None]:
    """Colour [H, W, 3] and alpha [H, W] (None where the file has none), float32, as stored: premultiplied.

    Takes the plain R, G, B, A channels, or else those of a Combined pass, or of the first layer; a lone Y is grey.

    Raises:
        ValueError: the file is no OpenEXR image or has no colour; the message is one line without the path.
    """
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            for part in range(len(file.parts)):
                # the file clears these when it closes
                header = file.header(part)
                data_window, window = np.array(header["dataWindow"]), np.array(header["displayWindow"])
                channels = {name: channel.pixels for name, channel in file.channels(part).items()}
                prefix = _colour_prefix(list(channels))
                if prefix is not None:
                    break
            else:
                raise ValueError("it has no colour channels")
    except RuntimeError as error:
        raise ValueError(_one_line(error)) from error
    if not np.array_equal(data_window, window):
        raise ValueError("it holds only a part of its frame; save it without cropping")
    names = ["Y"] * 3 if prefix + "R" not in channels else ["R", "G", "B"]
    colour = np.stack([channels[prefix + name] for name in names], -1)[::-1]
    alpha = channels.get(prefix + "A")
    return np.ascontiguousarray(colour, np.float32), None if alpha is None else alpha[::-1].astype(np.float32)


def _colour_prefix(names: list[str]) -> str | None:
    """What stands before R, G, B (or Y) in the names of the channels that make up the picture."""
    prefixes = [name[:-1] for name in sorted(names) if name.endswith(("R", "Y"))]
    complete = [prefix for prefix in prefixes if {prefix + "G", prefix + "B"} <= {*names} or prefix + "Y" in names]
    complete.sort(key=lambda prefix: (prefix != "", not prefix.endswith("Combined.")))
    return complete[0] if complete else None


def read_hdr(path: Path | str) -> np.ndarray:
    """Scene-linear colour [H, W, 3] of a Radiance picture (.hdr, RGBE), float32.

    Format: G. Ward, "Real Pixels", Graphics Gems II (1991).

    Raises:
        ValueError: the file is no Radiance picture; the message is one line without the path.
    """
    data = Path(path).read_bytes()
    header, separator, _ = data.partition(b"\n\n")
    if not data.startswith(b"#?") or not separator:
        raise ValueError("it is no Radiance picture")
    if b"FORMAT=32-bit_rle_xyze" in header:
        raise ValueError("its colours are XYZ; save it as RGB")
    line, _, body = data[len(header) + 2 :].partition(b"\n")
    words = line.split()
    if len(words) != 4 or words[0] != b"-Y" or words[2] != b"+X":
        raise ValueError("its rows do not run from the top left; save it again with another program")
    height, width = int(words[1]), int(words[3])
    rgbe = _read_rgbe(body, width, height)
    exposures = [float(entry[9:]) for entry in header.split(b"\n") if entry.startswith(b"EXPOSURE=")]
    scale = np.ldexp(1.0 / float(np.prod(exposures)), rgbe[..., 3].astype(np.int32) - 136)
    scale[rgbe[..., 3] == 0] = 0
    return np.ascontiguousarray((rgbe[..., :3] * scale[..., None])[::-1], np.float32)


def _read_rgbe(body: bytes, width: int, height: int) -> np.ndarray:
    """[H, W, 4] uint8, top row first; each row plain or with the four channels run-length encoded in turn."""
    plain = np.frombuffer(body, np.uint8)
    rows = np.empty((height, 4, width), np.uint8)
    at = 0
    marker = bytes([2, 2, width >> 8, width & 255])
    for row in rows:
        if body[at : at + 4] != marker:
            row[:] = _span(plain, at, 4 * width).reshape(width, 4).T
            at += 4 * width
            continue
        at += 4
        for channel in row:
            x = 0
            while x < width:
                code = int(_span(plain, at, 1)[0])
                run = code > 128
                length = code - 128 if run else code
                if length == 0 or x + length > width:
                    raise ValueError("its data is damaged")
                channel[x : x + length] = _span(plain, at + 1, 1 if run else length)
                at += 2 if run else 1 + length
                x += length
    return rows.transpose(0, 2, 1)


def _span(data: np.ndarray, start: int, length: int) -> np.ndarray:
    if start + length > len(data):
        raise ValueError("its data ends too early")
    return data[start : start + length]


def png_bytes(pixels: np.ndarray, bits: int = 8) -> bytes:
    """A PNG file of display-referred ``pixels`` [H, W], [H, W, 1] or [H, W, 3] in [0, 1], rounded as Blender rounds."""
    top_first = np.atleast_3d(pixels)[::-1]
    highest = 2**bits - 1
    # NaN is black: a picture of a failed fit must still be written
    values = np.floor(np.clip(np.nan_to_num(top_first), 0, 1) * highest + 0.5)
    height, width, channels = values.shape
    raw = values.astype(">u2" if bits == 16 else "u1").view(np.uint8).reshape(height, -1)
    # filter 2, "up": the difference to the row above compresses photographs well and is one subtraction
    filtered = np.empty((height, 1 + raw.shape[1]), np.uint8)
    filtered[:, 0] = 2
    filtered[:, 1:] = raw
    filtered[1:, 1:] -= raw[:-1]
    colour_type = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _png_chunk(kind, data)
        for kind, data in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 6)), (b"IEND", b""))
    )


def write_png(path: Path | str, pixels: np.ndarray, bits: int = 8) -> None:
    """Write display-referred ``pixels``, see :func:`png_bytes`. Raises OutputError."""
    write_atomic(path, png_bytes(pixels, bits))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
