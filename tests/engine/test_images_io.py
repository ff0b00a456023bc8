# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files against Blender's and Pillow's own readers and writers."""

from __future__ import annotations

import io
from pathlib import Path

import bpy
import numpy as np
import pytest
from PIL import Image as PillowImage

from likeness.engine.errors import OutputError
from likeness.engine.images_io import png_bytes, read_exr, read_hdr, write_exr, write_png


def hdr_pixels(height: int = 7, width: int = 13, channels: int = 3) -> np.ndarray:
    return (2.0 ** np.random.default_rng(0).uniform(-8, 8, (height, width, channels))).astype(np.float32)


def load_in_blender(path: Path) -> np.ndarray:
    """Pixels [H, W, 4] as Blender has them: row 0 is the bottom row."""
    image = bpy.data.images.load(str(path))
    try:
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        return pixels.reshape(height, width, 4)
    finally:
        bpy.data.images.remove(image)


def save_from_blender(pixels: np.ndarray, path: Path, file_format: str) -> None:
    """Save [H, W, 4] scene-linear pixels as Blender does."""
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("pixels", width, height, alpha=True, float_buffer=True)
    try:
        image.colorspace_settings.name = "Non-Color"
        image.pixels.foreach_set(pixels.astype(np.float32).ravel())
        image.file_format = file_format
        image.filepath_raw = str(path)
        image.save()
    finally:
        bpy.data.images.remove(image)


def test_blender_reads_our_exr_as_it_was(tmp_path: Path) -> None:
    pixels = hdr_pixels()
    write_exr(tmp_path / "a.exr", pixels)
    assert np.array_equal(load_in_blender(tmp_path / "a.exr")[..., :3], pixels)


def test_we_read_blenders_exr_as_it_was(tmp_path: Path) -> None:
    pixels = hdr_pixels(channels=4)
    pixels[..., 3] = np.linspace(0, 1, 13)
    save_from_blender(pixels, tmp_path / "a.exr", "OPEN_EXR")
    colour, alpha = read_exr(tmp_path / "a.exr")
    assert alpha is not None
    assert np.abs(colour / pixels[..., :3] - 1).max() < 1e-3  # Blender may save 16-bit floats
    assert np.abs(alpha - pixels[..., 3]).max() < 1e-3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_exr_round_trip(tmp_path: Path, channels: int) -> None:
    pixels = hdr_pixels(channels=channels)
    write_exr(tmp_path / "a.exr", pixels)
    colour, alpha = read_exr(tmp_path / "a.exr")
    assert np.array_equal(colour, np.broadcast_to(pixels[..., :3], colour.shape))
    assert (alpha is None) == (channels != 4)
    if alpha is not None:
        assert np.array_equal(alpha, pixels[..., 3])


def test_exr_of_a_render_with_passes_gives_the_combined_pass(tmp_path: Path) -> None:
    import OpenEXR

    pixels = hdr_pixels()
    layers = {"Combined": pixels, "DiffCol": pixels * 0.5}
    channels = {
        f"ViewLayer.{name}.{letter}": np.ascontiguousarray(layer[::-1, :, index])
        for name, layer in layers.items()
        for index, letter in enumerate("RGB")
    }
    channels["ViewLayer.Depth.Y"] = pixels[..., 0].copy()
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(tmp_path / "passes.exr"))
    colour, alpha = read_exr(tmp_path / "passes.exr")
    assert np.array_equal(colour, pixels)
    assert alpha is None


def test_what_is_no_exr_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.exr").write_bytes(b"not an image")
    with pytest.raises(ValueError, match="Unable to open") as caught:
        read_exr(tmp_path / "a.exr")
    assert "\n" not in str(caught.value)


def test_exr_into_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="folder is not there"):
        write_exr(tmp_path / "no" / "a.exr", hdr_pixels())


@pytest.mark.parametrize("width", [5, 40])  # Radiance does not compress rows below 8 pixels
def test_we_read_blenders_hdr_as_it_was(tmp_path: Path, width: int) -> None:
    pixels = np.ones((9, width, 4), np.float32)
    pixels[..., :3] = hdr_pixels(9, width)
    pixels[2:5, :, :3] = (0.5, 0.25, 1.0)  # runs
    pixels[0, 0, :3] = 0
    save_from_blender(pixels, tmp_path / "a.hdr", "HDR")
    ours = read_hdr(tmp_path / "a.hdr")
    # eight bits of mantissa, shared by the three channels
    assert (np.abs(ours - pixels[..., :3]) / pixels[..., :3].max(-1, keepdims=True).clip(1e-9)).max() <= 1 / 128
    assert np.array_equal(ours, load_in_blender(tmp_path / "a.hdr")[..., :3])


def test_damaged_hdr_is_refused(tmp_path: Path) -> None:
    pixels = np.ones((9, 40, 4), np.float32)
    save_from_blender(pixels, tmp_path / "a.hdr", "HDR")
    whole = (tmp_path / "a.hdr").read_bytes()
    for broken in (whole[:-30], whole.replace(b"-Y", b"+Y"), b"#?RADIANCE", b"GIF"):
        (tmp_path / "b.hdr").write_bytes(broken)
        with pytest.raises(ValueError, match="it"):
            read_hdr(tmp_path / "b.hdr")


@pytest.mark.parametrize(("bits", "shape"), [(8, (5, 6, 3)), (8, (5, 6)), (16, (5, 6, 3)), (16, (5, 6, 1))])
def test_png_is_what_other_readers_see(tmp_path: Path, bits: int, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).uniform(-0.1, 1.1, shape).astype(np.float32)
    write_png(tmp_path / "a.png", pixels, bits)
    expected = np.floor(np.clip(np.atleast_3d(pixels), 0, 1) * (2**bits - 1) + 0.5) / (2**bits - 1)
    seen = load_in_blender(tmp_path / "a.png")[..., :3]
    assert np.abs(seen - expected).max() < 1e-6
    with PillowImage.open(tmp_path / "a.png") as image:
        image.load()  # checks the checksums
        assert image.size == (6, 5)
        if bits == 8:
            top_first = np.asarray(image, np.float32).reshape(5, 6, -1)[::-1] / 255
            assert np.abs(top_first - expected).max() < 1e-6


def test_png_rounds_as_blender_does() -> None:
    values = np.array([[0.5, 1.49, 1.5, 1.51, 100.49, 100.51, 254.6]]) / 255
    with PillowImage.open(io.BytesIO(png_bytes(values))) as image:
        assert np.asarray(image).ravel().tolist() == [1, 1, 2, 2, 100, 101, 255]


def test_not_a_number_becomes_black() -> None:
    with PillowImage.open(io.BytesIO(png_bytes(np.full((2, 2, 3), np.nan)))) as image:
        assert not np.asarray(image).any()
