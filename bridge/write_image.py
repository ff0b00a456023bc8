# SPDX-License-Identifier: GPL-3.0-or-later
"""New, packed image datablocks whose pixels Cycles sees unchanged after saving and loading.

Existing images are never touched: undo cannot restore the pixels of an image, but it takes a new one away.

Traps handled here, each tested by rendering the reloaded file: ``Image.save`` turns linear EXRs into sRGB ones, packing
does not; setting a colour space after filling the pixels of a generated image wipes it, so it is set before; Blender
writes 8-bit PNGs only, so 16-bit ones are encoded here; ``pixels`` of a byte image are rounded by Blender by
truncation after adding a half, as ours are.
"""

from __future__ import annotations

import struct
import zlib

import bpy
import numpy as np

from ..engine.result import FittedImage

# longest datablock name in bytes of UTF-8 that every supported version stores
_MAX_NAME = 63
# custom property of images made here; its value is the name without a number
_MARK = "likeness"


def cut_name(owner: str, what: str) -> str:
    """``"Gold base color"``, the owner's name shortened where the whole is too long for Blender."""
    suffix = f" {what}"
    # room for a number, ours or Blender's own ".001"
    room = _MAX_NAME - 4 - len(suffix.encode())
    return owner.encode()[:room].decode(errors="ignore") + suffix


def image_name(owner: str, what: str) -> str:
    """The name of a new image: ``"Gold base color"``, then ``"Gold base color 2"``, one more than the highest there is.

    ``what`` is a target (``base_color``) or another word.
    """
    base = cut_name(owner, what.replace("_", " "))
    taken = [0]
    for image in bpy.data.images:
        number = image.name.removeprefix(base)
        if image.name == base:
            taken.append(1)
        elif image.name.startswith(base) and number.startswith(" ") and number[1:].isdecimal():
            taken.append(int(number))
    return f"{base} {max(taken) + 1}" if max(taken) else base


def mark(image: bpy.types.Image, owner: str, what: str) -> None:
    """Note on an image that Likeness made it, and for what."""
    image[_MARK] = cut_name(owner, what.replace("_", " "))


def made_by_likeness(image: bpy.types.Image) -> bool:
    """Whether an image comes from an earlier apply. Only such images are ever removed."""
    return _MARK in image and image.library is None


def made_for(owner: str, what: str) -> list[bpy.types.Image]:
    """All images that were made for one purpose, as the coverage of a material."""
    wanted = cut_name(owner, what.replace("_", " "))
    return [image for image in bpy.data.images if made_by_likeness(image) and image[_MARK] == wanted]


def new_image(name: str, pixels: np.ndarray, colour_space: str, bits: int) -> bpy.types.Image:
    """A packed image of [H, W, 1 or 3] values as the datablock stores them, row 0 at the bottom.

    ``colour_space``: "sRGB" (encoded values), "Non-Color" or "Linear Rec.709". ``bits``: 8 (PNG), 16 (PNG) or 32
    (EXR, float).
    """
    if bits == 16:
        return _new_png16(name, pixels, colour_space)
    height, width, _ = pixels.shape
    image = bpy.data.images.new(name, width, height, alpha=False, float_buffer=bits == 32)
    image.colorspace_settings.name = colour_space
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    image.pack()
    return image


def _new_png16(name: str, pixels: np.ndarray, colour_space: str) -> bpy.types.Image:
    encoded = encode_png16(pixels)
    image = bpy.data.images.new(name, 1, 1, alpha=False)
    image.pack(data=encoded, data_len=len(encoded))
    image.source = "FILE"
    image.colorspace_settings.name = colour_space
    return image


def encode_png16(pixels: np.ndarray) -> bytes:
    """A 16-bit greyscale or RGB PNG (PNG specification, third edition) of [H, W, 1 or 3] values in [0, 1]."""
    height, width, channels = pixels.shape
    values = np.round(np.clip(pixels[::-1], 0, 1) * 65535).astype(">u2")
    rows = values.reshape(height, -1).view(np.uint8)
    # filter type 1 of every row: the difference to the pixel at its left compresses smooth maps well
    step = 2 * channels
    filtered = rows.copy()
    filtered[:, step:] -= rows[:, :-step]
    body = np.concatenate([np.ones((height, 1), np.uint8), filtered], axis=1).tobytes()
    colour_type = 0 if channels == 1 else 2
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def write_fitted_image(image: FittedImage) -> bpy.types.Image:
    """The new datablock of one fitted socket."""
    linear = "Linear Rec.709" if image.socket == "emission" else "Non-Color"
    colour_space = "sRGB" if image.encoding == "sRGB" else linear
    made = new_image(image_name(image.material, image.socket), image.pixels, colour_space, image.bits)
    mark(made, image.material, image.socket)
    return made
