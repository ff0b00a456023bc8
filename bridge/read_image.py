# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels of image datablocks as Cycles interpolates them.

Traps handled here (docs/blender-image-formation.md §3.7):

* ``image.pixels`` of an 8-bit image holds encoded values, of a 16-bit colour file already linear ones; Cycles
  interpolates both encoded when it reads the file itself, so 16-bit files are encoded again.
* A packed 16-bit or float image reaches Cycles as Blender's linear float buffer: it is interpolated linearly.
* Blender multiplies the colour of 8-bit images with straight alpha by that alpha unless the image is data,
  channel-packed, or its Alpha output is used.
* ``image.size`` loads the file; a missing file has size 0. Cycles shows missing images in magenta.
"""

from __future__ import annotations

import bpy
import numpy as np

from ..engine.scene import Image
from .notes import Notes

_LINEAR_SPACES = {"Non-Color", "Linear Rec.709", "scene_linear", "Linear", "Raw"}
_INTEGER_FORMATS = {"PNG", "TIFF", "JPEG2000", "DPX", "CINEON"}
_MISSING = (1.0, 0.0, 1.0, 1.0)
DERIVED = "nodes of material "  # how the keys of images begin that are no datablocks


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    """sRGB transfer function of IEC 61966-2-1, without clipping above one; any shape."""
    positive = np.maximum(linear, 0.0031308)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * positive ** (1 / 2.4) - 0.055).astype(np.float32)


def decode_srgb(encoded: np.ndarray) -> np.ndarray:
    """The inverse of :func:`encode_srgb`."""
    power = ((np.maximum(encoded, 0.04045) + 0.055) / 1.055) ** 2.4
    return np.where(encoded <= 0.04045, encoded / 12.92, power).astype(np.float32)


def is_missing(image: bpy.types.Image) -> bool:
    """Whether the datablock has no pixels: file not found or unreadable."""
    return 0 in tuple(image.size)


def raw_pixels(image: bpy.types.Image) -> np.ndarray:
    """``image.pixels`` as [H, W, 4] float32, row 0 at the bottom; one and three channels are completed."""
    width, height = image.size
    channels = image.channels
    values = np.empty(width * height * channels, np.float32)
    image.pixels.foreach_get(values)
    values = values.reshape(height, width, channels)
    if channels == 4:
        return values
    pixels = np.ones((height, width, 4), np.float32)
    if channels == 3:
        pixels[..., :3] = values
    else:
        pixels[..., :3] = values[..., :1]
        if channels == 2:
            pixels[..., 3] = values[..., 1]
    return pixels


def read_image(image: bpy.types.Image, notes: Notes, straight_alpha: bool = False) -> Image:
    """An image as texture nodes see it.

    ``straight_alpha``: the node's Alpha output is in use, so that its colour is not multiplied by alpha.
    """
    if is_missing(image):
        path = f" ({image.filepath})" if image.filepath else ""
        notes.error(
            image,
            f"its file is missing or cannot be read{path}; shown in magenta as Cycles does. "
            "Relink it with File > External Data > Find Missing Files",
        )
        return Image(image.name_full, np.array(_MISSING, np.float32).reshape(1, 1, 4))
    if image.source == "TILED" and len(image.tiles) > 1:
        notes.approximated(image, f"UDIM: only tile {image.tiles[0].number} of {len(image.tiles)} is used")
    elif image.source in {"SEQUENCE", "MOVIE"}:
        notes.approximated(image, "image sequence or movie: the frame that Blender holds now is used")
    pixels = raw_pixels(image)
    space = image.colorspace_settings.name
    if image.is_float:
        encoded = space == "sRGB" and _is_integer_file(image)
        if encoded:
            pixels[..., :3] = encode_srgb(pixels[..., :3])
    else:
        encoded = space not in _LINEAR_SPACES
        if encoded and space != "sRGB":
            notes.approximated(image, f'colour space "{space}" is read as sRGB')
        _apply_alpha(image, pixels, straight_alpha)
    if image.alpha_mode == "NONE":
        pixels[..., 3] = 1.0
    return Image(image.name_full, pixels, "sRGB" if encoded else "linear")


def _is_integer_file(image: bpy.types.Image) -> bool:
    """Whether Cycles reads a 16-bit integer file of this image itself (instead of Blender's float buffer)."""
    return image.source == "FILE" and image.packed_file is None and image.file_format in _INTEGER_FORMATS


def _apply_alpha(image: bpy.types.Image, pixels: np.ndarray, straight_alpha: bool) -> None:
    data = image.colorspace_settings.is_data
    if image.alpha_mode == "STRAIGHT" and not data and not straight_alpha and (pixels[..., 3] < 1).any():
        stored = np.round(pixels * 255).astype(np.int32)
        pixels[..., :3] = (stored[..., :3] * stored[..., 3:] // 255) / 255  # Cycles rounds down


class ImageReader:
    """Reads every image once; the values of :attr:`images` become ``Scene.images``."""

    def __init__(self, notes: Notes) -> None:
        self.images: dict[str, Image] = {}
        self._notes = notes

    def key(self, image: bpy.types.Image, straight_alpha: bool = False) -> str:
        """The key in ``Scene.images`` of an image datablock, read at first use."""
        name = image.name_full + (" (straight alpha)" if straight_alpha else "")
        if name not in self.images:
            self.images[name] = read_image(image, self._notes, straight_alpha)
        return name

    def add(self, name: str, image: Image) -> str:
        """Put in an image that is no datablock; returns its key."""
        image.name = name
        self.images[name] = image
        return name
