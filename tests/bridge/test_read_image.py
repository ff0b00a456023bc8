# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels of all kinds of images, looked up slowly, against what Cycles shows."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import OpenEXR
import pytest

from likeness.bridge.notes import Notes
from likeness.bridge.read_image import read_image
from likeness.bridge.write_image import encode_png16
from likeness.engine.scene import Texture
from tests.bridge.probe import add_square, emission_material, look_up, pixel_positions, shoot, top_camera

pytestmark = pytest.mark.usefixtures("empty_file")
SIZE = 24
RNG = np.random.default_rng(5)
LOW = RNG.random((7, 9, 3)).astype(np.float32)
HIGH = (RNG.random((7, 9, 3)) ** 4 * 40).astype(np.float32)


def _generated(pixels: np.ndarray, space: str, is_float: bool, alpha: np.ndarray | None = None) -> bpy.types.Image:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("Bild größe", width, height, alpha=alpha is not None, float_buffer=is_float)
    image.colorspace_settings.name = space
    rgba = np.ones((height, width, 4), np.float32)
    rgba[..., :3] = pixels
    if alpha is not None:
        rgba[..., 3] = alpha
    image.pixels.foreach_set(rgba.ravel())
    image.update()
    return image


def _file(path: Path, space: str, packed: bool = False) -> bpy.types.Image:
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = space
    if packed:
        image.pack()
    return image


def _exr(path: Path, pixels: np.ndarray) -> Path:
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": np.ascontiguousarray(pixels[::-1])}).write(str(path))
    return path


def _png16(path: Path, pixels: np.ndarray) -> Path:
    path.write_bytes(encode_png16(pixels))
    return path


KINDS = {
    "8 bit, sRGB": lambda folder: _generated(LOW, "sRGB", False),
    "8 bit, Non-Color": lambda folder: _generated(LOW, "Non-Color", False),
    "8 bit, Linear Rec.709": lambda folder: _generated(LOW, "Linear Rec.709", False),
    "float in memory": lambda folder: _generated(HIGH, "Linear Rec.709", True),
    "16-bit PNG file, sRGB": lambda folder: _file(_png16(folder / "a.png", LOW), "sRGB"),
    "16-bit PNG file, Non-Color": lambda folder: _file(_png16(folder / "a.png", LOW), "Non-Color"),
    "16-bit PNG packed, sRGB": lambda folder: _file(_png16(folder / "a.png", LOW), "sRGB", packed=True),
    "16-bit PNG file, grey": lambda folder: _file(_png16(folder / "a.png", LOW[..., :1]), "Non-Color"),
    "32-bit EXR file": lambda folder: _file(_exr(folder / "a.exr", HIGH), "Linear Rec.709"),
    "32-bit EXR packed": lambda folder: _file(_exr(folder / "a.exr", HIGH), "Linear Rec.709", packed=True),
    "half EXR file": lambda folder: _file(_exr(folder / "a.exr", HIGH.astype(np.float16)), "Linear Rec.709"),
    "half EXR file, Non-Color": lambda folder: _file(_exr(folder / "a.exr", HIGH.astype(np.float16)), "Non-Color"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_lookup_equals_cycles(kind: str, tmp_path: Path) -> None:
    image = KINDS[kind](tmp_path)
    material, socket = emission_material()
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    material.node_tree.links.new(node.outputs["Color"], socket)
    add_square(material)
    seen = shoot(top_camera(), tmp_path, SIZE)

    notes = Notes()
    read = read_image(image, notes)
    expected = look_up(read, Texture(read.name), pixel_positions(SIZE).reshape(-1, 2) / 2 + 0.5).reshape(SIZE, SIZE, 3)
    # sub-pixel position of a sample: 1e-4 of a pixel; the steepest texel edge is 40 / (24/9 pixels)
    np.testing.assert_allclose(seen, expected, atol=2e-3 if expected.max() > 1 else 2e-5)
    assert notes.as_list() == []


@pytest.mark.parametrize("mode", ["STRAIGHT", "CHANNEL_PACKED", "NONE"])
@pytest.mark.parametrize("space", ["sRGB", "Non-Color"])
def test_alpha_modes_of_8_bit_images_equal_cycles(mode: str, space: str, tmp_path: Path) -> None:
    image = _generated(LOW, space, False, alpha=RNG.random(LOW.shape[:2]))
    image.alpha_mode = mode
    material, socket = emission_material()
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    material.node_tree.links.new(node.outputs["Color"], socket)
    add_square(material)
    seen = shoot(top_camera(), tmp_path, SIZE)
    read = read_image(image, Notes())
    expected = look_up(read, Texture(read.name), pixel_positions(SIZE).reshape(-1, 2) / 2 + 0.5).reshape(SIZE, SIZE, 3)
    np.testing.assert_allclose(seen, expected, atol=2e-5)


def test_missing_file_is_an_error_note_and_magenta(tmp_path: Path) -> None:
    image = bpy.data.images.new("gone", 4, 4)
    image.source, image.filepath = "FILE", str(tmp_path / "gone ü.png")
    notes = Notes()
    read = read_image(image, notes)
    assert read.pixels[0, 0].tolist() == [1, 0, 1, 1]
    (note,) = notes.as_list()
    assert note.severity == "error"
    assert "gone ü.png" in note.message
