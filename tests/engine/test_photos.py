# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos from files: against Blender's renders, Pillow's and LittleCMS' own conversions, and plain sums."""

from __future__ import annotations

import io
import time
from pathlib import Path

import bpy
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage
from PIL import ImageCms

from likeness.engine.color import ViewTransform, srgb_decode, srgb_encode
from likeness.engine.errors import PhotoError
from likeness.engine.images_io import write_exr
from likeness.engine.photos import load_photo, psnr
from likeness.engine.scene import Photo, ViewSettings
from tests.scenes.cycles import reference_settings

CONFIG = str(Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "colormanagement" / "config.ocio")
EXIF_ORIENTATION = 0x0112


def noise(height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """A smooth, colourful 8-bit picture, top row first."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return np.asarray(PillowImage.fromarray(small).resize((width, height), PillowImage.Resampling.BICUBIC))


def saved(path: Path, picture: np.ndarray, **options: object) -> str:
    PillowImage.fromarray(picture).save(path, **options)
    return str(path)


def loaded(path: str, max_side: int = 4096, mask: str | None = None) -> Photo:
    photo = Photo("Camera", path, mask)
    assert load_photo(photo, max_side) == []
    return photo


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".bmp"])
def test_eight_bit_files_are_their_values_bottom_row_first(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == ".webp" else {}
    photo = loaded(saved(tmp_path / f"Löwe<1>{suffix}", noise(), **options))
    assert photo.pixels is not None
    assert photo.pixels.dtype == np.float32
    assert np.abs(photo.pixels - noise()[::-1] / 255).max() < 1e-6
    assert (photo.mask, photo.full_size, photo.domain, photo.name) == (None, (60, 40), "display", "Löwe<1>")


def test_jpeg_is_close(tmp_path: Path) -> None:
    photo = loaded(saved(tmp_path / "a.JPG", noise(), quality=95))
    assert photo.pixels is not None
    assert np.abs(photo.pixels - noise()[::-1] / 255).mean() < 0.01


def test_grey_photos_of_8_and_16_bits(tmp_path: Path) -> None:
    grey = noise()[..., 0]
    for name, stored, full in (("8.png", grey, 255), ("16.png", grey.astype(np.uint16) * 200 + 7, 65535)):
        photo = loaded(saved(tmp_path / name, stored))
        assert photo.pixels is not None
        assert np.abs(photo.pixels - stored[::-1, :, None] / full).max() < 1e-6


def test_16_bit_tiff_as_blender_writes_it(tmp_path: Path) -> None:
    scene = bpy.data.scenes.new("16 bit")
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode, settings.color_depth = "TIFF", "RGB", "16"
    image = bpy.data.images.new("16 bit", 60, 40)
    image.pixels.foreach_set(np.dstack([noise()[::-1] / 255, np.ones((40, 60))]).astype(np.float32).ravel())
    scene.view_settings.view_transform = "Standard"
    image.save_render(str(tmp_path / "a.tif"), scene=scene)
    photo = loaded(str(tmp_path / "a.tif"))
    assert photo.pixels is not None
    assert np.abs(photo.pixels - noise()[::-1] / 255).max() <= 1.5 / 255


def test_palette_with_transparency(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(np.array([[0, 1, 2]], np.uint8), "L").convert("P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    picture.save(tmp_path / "a.gif", transparency=1)
    photo = loaded(str(tmp_path / "a.gif"))
    assert photo.pixels is not None
    assert photo.mask is not None
    assert photo.mask.tolist() == [[1, 0, 1]]
    assert photo.pixels[0, 2].tolist() == [0, 0, 1]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_the_photo_upright(tmp_path: Path, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[EXIF_ORIENTATION] = orientation
    photo = loaded(saved(tmp_path / "a.png", noise(), exif=exif))
    # the eight cases of the EXIF 2.3 standard, what the stored row 0 and column 0 are in the scene
    upright = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: np.rot90,
    }[orientation](noise())
    assert photo.pixels is not None
    assert np.abs(photo.pixels - upright[::-1] / 255).max() < 1e-6
    assert photo.full_size == ((60, 40) if orientation < 5 else (40, 60))


def linear_profile() -> bytes:
    """A matrix profile with sRGB primaries and a linear tone curve, made by patching LittleCMS' sRGB profile."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132], "big")
    for index in range(count):
        entry = 132 + 12 * index
        offset = int.from_bytes(profile[entry + 4 : entry + 8], "big")
        if profile[entry : entry + 4] in (b"rTRC", b"gTRC", b"bTRC"):
            # parametric curve of type 0 with gamma 1, and zeros for what the old curve had more
            profile[offset : offset + 16] = b"para" + bytes(8) + (1 << 16).to_bytes(4, "big")
        if profile[entry : entry + 4] == b"desc":
            length = int.from_bytes(profile[entry + 8 : entry + 12], "big")
            text = bytes(profile[offset : offset + length])
            profile[offset : offset + length] = text.replace("sRGB".encode("utf-16-be"), "line".encode("utf-16-be"))
    return bytes(profile)


def test_embedded_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    photo = loaded(saved(tmp_path / "a.png", noise(), icc_profile=linear_profile()))
    expected = srgb_encode(noise()[::-1] / 255)
    assert photo.pixels is not None
    # eight bits in, eight bits out
    assert np.abs(photo.pixels - expected).max() < 2.5 / 255


def test_srgb_profile_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = loaded(saved(tmp_path / "a.png", noise(), icc_profile=profile))
    assert photo.pixels is not None
    assert np.abs(photo.pixels - noise()[::-1] / 255).max() < 1e-6


def test_broken_profile_is_a_warning(tmp_path: Path) -> None:
    photo = Photo("Camera", saved(tmp_path / "a.png", noise(), icc_profile=b"not a profile"))
    (warning,) = load_photo(photo, 4096)
    assert "colour profile" in warning
    assert '"a"' in warning
    assert photo.pixels is not None


def test_cmyk_is_read_with_a_warning(tmp_path: Path) -> None:
    PillowImage.fromarray(noise()).convert("CMYK").save(tmp_path / "a.tif")
    photo = Photo("Camera", str(tmp_path / "a.tif"))
    (warning,) = load_photo(photo, 4096)
    assert "CMYK" in warning
    assert photo.pixels is not None
    assert np.abs(photo.pixels - noise()[::-1] / 255).max() < 2 / 255


def test_alpha_becomes_the_mask(tmp_path: Path) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:10, :20] = 255
    photo = loaded(saved(tmp_path / "a.png", np.dstack([noise(), alpha])))
    assert photo.mask is not None
    assert np.array_equal(photo.mask, alpha[::-1] / np.float32(255))
    assert loaded(saved(tmp_path / "b.png", np.dstack([noise(), alpha * 0 + 255]))).mask is None


def test_alpha_can_be_left_out(tmp_path: Path) -> None:
    alpha = np.zeros((40, 60), np.uint8)
    photo = Photo("Camera", saved(tmp_path / "a.png", np.dstack([noise(), alpha])), use_alpha=False)
    load_photo(photo, 4096)
    assert photo.mask is None
    assert photo.pixels is not None
    assert np.abs(photo.pixels - noise()[::-1] / 255).max() < 1e-6
    half = np.full((4, 6, 4), 0.5, np.float32)
    write_exr(tmp_path / "a.exr", half)
    photo = Photo("Camera", str(tmp_path / "a.exr"), use_alpha=False)
    load_photo(photo, 4096)
    assert (photo.mask, photo.pixels is not None and float(photo.pixels.max())) == (None, 0.5)


def test_transparent_pixels_do_not_bleed(tmp_path: Path) -> None:
    """Colour under alpha 0 is arbitrary: magenta here."""
    picture = np.full((64, 64, 4), (200, 200, 200, 255), np.uint8)
    picture[:, 32:] = (255, 0, 255, 0)
    photo = loaded(saved(tmp_path / "a.png", picture), 8)
    assert photo.pixels is not None
    assert photo.mask is not None
    seen = photo.mask > 0.01
    assert np.abs(photo.pixels[seen] - 200 / 255).max() < 1e-4
    assert 0 < photo.mask[:, 4].max() < 0.5 < photo.mask[:, 3].min() < 1


def test_mask_file_and_alpha_multiply(tmp_path: Path) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[:, :30] = 0
    mask = np.full((40, 60), 255, np.uint8)
    mask[:20] = 51
    photo = loaded(saved(tmp_path / "a.png", np.dstack([noise(), alpha])), mask=saved(tmp_path / "mask.png", mask))
    assert photo.mask is not None
    assert photo.mask[5, 10] == 0
    assert photo.mask[5, 40] == 1
    assert photo.mask[35, 40] == pytest.approx(0.2)


@pytest.mark.parametrize("factor", [0.5, 1, 2])
def test_mask_of_another_size_but_the_same_aspect(tmp_path: Path, factor: float) -> None:
    height, width = int(40 * factor), int(60 * factor)
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255  # the upper half
    photo = loaded(saved(tmp_path / "a.png", noise()), mask=saved(tmp_path / "mask.png", mask))
    assert photo.mask is not None
    assert photo.mask.shape == (40, 60)
    assert (photo.mask[22:] == 1).all()
    assert (photo.mask[:18] == 0).all()


def test_mask_of_another_aspect_is_refused(tmp_path: Path) -> None:
    mask = saved(tmp_path / "mask.png", np.full((60, 40), 255, np.uint8))
    with pytest.raises(PhotoError, match=r"mask\.png.*40 x 60.*60 x 40"):
        loaded(saved(tmp_path / "a.png", noise()), mask=mask)


@pytest.mark.parametrize("where", ["mask", "alpha"])
def test_black_mask_is_refused(tmp_path: Path, where: str) -> None:
    black = np.zeros((40, 60), np.uint8)
    if where == "mask":
        path, mask = saved(tmp_path / "a.png", noise()), saved(tmp_path / "mask.png", black)
    else:
        path, mask = saved(tmp_path / "a.png", np.dstack([noise(), black])), None
    with pytest.raises(PhotoError, match="black all over"):
        loaded(path, mask=mask)


def test_a_reduced_uniform_photo_stays_uniform(tmp_path: Path) -> None:
    photo = loaded(saved(tmp_path / "a.png", np.full((301, 457, 3), (10, 128, 255), np.uint8)), 64)
    assert photo.pixels is not None
    assert max(photo.pixels.shape[:2]) <= 64
    assert np.abs(photo.pixels - np.array([10, 128, 255]) / 255).max() < 1e-5


def slow_reduction(linear: np.ndarray, height: int, width: int) -> np.ndarray:
    """Blackman-Harris average [h, w, C] by plain loops, for reductions by a whole factor; no borders."""
    factor = linear.shape[0] // height
    half = 1.5 * np.sqrt(factor**2 - 1)
    result = np.zeros((height, width, linear.shape[2]))
    for y in range(height):
        for x in range(width):
            total = 0.0
            for j in range(linear.shape[0]):
                for i in range(linear.shape[1]):
                    weight = 1.0
                    for old, new in ((j, y), (i, x)):
                        t = 2 * np.pi * ((old + 0.5 - (new + 0.5) * factor) / (2 * half) + 0.5)
                        inside = 0 < t < 2 * np.pi
                        k = 0.35875 - 0.48829 * np.cos(t) + 0.14128 * np.cos(2 * t) - 0.01168 * np.cos(3 * t)
                        weight *= k if inside else 0.0
                    total += weight
                    result[y, x] += weight * linear[j, i]
            result[y, x] /= total
    return result


def test_reduction_is_a_filtered_average_of_light(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (16, 24, 3), np.uint8)
    photo = loaded(saved(tmp_path / "a.png", picture), 6)
    expected = srgb_encode(slow_reduction(srgb_decode(picture / 255), 4, 6))
    assert photo.pixels is not None
    assert np.abs(photo.pixels - expected[::-1]).max() < 1e-4


def checker_scene() -> bpy.types.Scene:
    """Emitting squares of 20 : 1 contrast under AgX, turned a little, seen from straight above."""
    scene = bpy.data.scenes.new("checker")
    mesh = bpy.data.meshes.new("plane")
    mesh.from_pydata([(-2, -2, 0), (2, -2, 0), (2, 2, 0), (-2, 2, 0)], [], [(0, 1, 2, 3)])
    mesh.uv_layers.new()
    plane = bpy.data.objects.new("plane", mesh)
    plane.rotation_euler[2] = 0.3
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location[2] = 3.0
    for obj in (plane, camera):
        scene.collection.objects.link(obj)
    scene.camera = camera
    material = bpy.data.materials.new("checker")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    checker, emission, output = (
        nodes.new(kind) for kind in ("ShaderNodeTexChecker", "ShaderNodeEmission", "ShaderNodeOutputMaterial")
    )
    checker.inputs["Color1"].default_value = (1.6, 1.0, 0.4, 1)
    checker.inputs["Color2"].default_value = (0.04, 0.06, 0.08, 1)
    checker.inputs["Scale"].default_value = 11
    links.new(checker.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], output.inputs["Surface"])
    mesh.materials.append(material)
    scene.view_settings.view_transform = "AgX"
    return scene


def rendered(scene: bpy.types.Scene, path: Path, size: int, samples: int) -> np.ndarray:
    """An 8-bit render [size, size, 3] in [0, 1], row 0 at the bottom."""
    reference_settings(scene, size, size, samples, direct_only=True)
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True, scene=scene.name)
    return np.asarray(PillowImage.open(path))[::-1] / 255.0


def test_reduced_photo_is_what_a_smaller_render_is(tmp_path: Path) -> None:
    scene = checker_scene()
    rendered(scene, tmp_path / "large.png", 192, 128)
    small = rendered(scene, tmp_path / "small.png", 48, 1024)
    tone = ViewTransform(ViewSettings("AgX", config_path=CONFIG)).tone_curve
    inner = (slice(3, -3), slice(3, -3))  # at the border the large picture ends before the filter does

    photo = Photo("camera", str(tmp_path / "large.png"))
    load_photo(photo, 48, tone)
    assert photo.pixels is not None
    assert psnr(photo.pixels[inner], small[inner]) > 40
    # what a plain resize would do, and what decoding as sRGB would do
    with PillowImage.open(tmp_path / "large.png") as image:
        plain = np.asarray(image.resize((48, 48), PillowImage.Resampling.BOX))[::-1] / 255.0
    assert psnr(photo.pixels[inner], small[inner]) > psnr(plain[inner], small[inner]) + 10
    load_photo(photo, 48)
    assert psnr(photo.pixels[inner], small[inner]) < 40


@pytest.mark.parametrize("size", [(4032, 3024), (6000, 4000), (1000, 667), (667, 1000), (1920, 1080), (5000, 60)])
def test_reduced_size_keeps_the_aspect(tmp_path: Path, size: tuple[int, int]) -> None:
    photo = loaded(saved(tmp_path / "a.png", np.zeros((size[1], size[0]), np.uint8)), 500)
    assert photo.pixels is not None
    height, width = photo.pixels.shape[:2]
    assert 450 <= max(width, height) <= 500
    assert photo.full_size == size
    longer, shorter = max(width, height), min(width, height)
    possible = np.arange(450, 501) * min(size) / max(size)
    best = np.abs(possible - np.round(possible)).min()
    assert abs(shorter - longer * min(size) / max(size)) <= max(best, 0.02) + 1e-9


def test_twelve_megapixels_take_a_moment(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", noise(3000, 4000), quality=90)
    start = time.process_time()
    photo = loaded(path, 512)
    assert time.process_time() - start < 5
    assert photo.pixels is not None
    assert photo.pixels.shape == (384, 512, 3)


def test_exr_photo_is_linear_with_straight_colour_and_mask(tmp_path: Path) -> None:
    premultiplied = np.zeros((8, 6, 4), np.float32)
    premultiplied[:4] = (4.0, 2.0, 0.5, 1.0)
    premultiplied[4] = (2.0, 1.0, 0.25, 0.5)
    write_exr(tmp_path / "a.exr", premultiplied)
    photo = loaded(str(tmp_path / "a.exr"))
    assert photo.domain == "linear"
    assert photo.pixels is not None
    assert photo.mask is not None
    assert np.allclose(photo.pixels[:5], (4.0, 2.0, 0.5))
    assert photo.mask[:, 0].tolist() == [1, 1, 1, 1, 0.5, 0, 0, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_exr_that_is_not_a_number_is_refused(tmp_path: Path, bad: float) -> None:
    pixels = np.ones((8, 6, 3), np.float32)
    pixels[2, 3, 1] = bad
    write_exr(tmp_path / "a.exr", pixels)
    with pytest.raises(PhotoError, match="1 pixels"):
        loaded(str(tmp_path / "a.exr"))


def test_unusable_files_are_named_in_one_line(tmp_path: Path) -> None:
    whole = io.BytesIO()
    PillowImage.fromarray(noise()).save(whole, "JPEG")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "half.jpg").write_bytes(whole.getvalue()[:600])
    (tmp_path / "text.exr").write_text("hello")
    (tmp_path / "text.hdr").write_text("hello")
    for name, reason in (
        ("missing.png", "there is no file"),
        (".", "there is no file"),
        ("empty.png", "0 bytes"),
        ("text.png", "cannot be read"),
        ("half.jpg", "cannot be read"),
        ("text.exr", "cannot be read"),
        ("text.hdr", "cannot be read"),
    ):
        path = str(tmp_path / name)
        for photo in (Photo("Camera", path), Photo("Camera", saved(tmp_path / "good.png", noise()), path)):
            with pytest.raises(PhotoError, match=reason) as caught:
                load_photo(photo, 512)
            assert "\n" not in str(caught.value)
            assert name in str(caught.value)


def test_psnr_by_hand() -> None:
    a, b = np.zeros((2, 2, 3)), np.zeros((2, 2, 3))
    b[0, 0] = 0.1
    assert psnr(a, b) == pytest.approx(10 * np.log10(4 / 0.01))
    assert psnr(a, b, np.array([[1.0, 0], [0, 0]])) == pytest.approx(20)
    assert psnr(a, b, np.array([[1.0, 3], [0, 0]])) == pytest.approx(10 * np.log10(4 / 0.01))
    assert psnr(a, a) == float("inf")


def test_tone_curve_is_the_view_on_grey() -> None:
    for name in ("AgX", "Filmic", "Standard", "Khronos PBR Neutral"):
        view = ViewTransform(ViewSettings(name, config_path=CONFIG))
        radiance = torch.exp2(torch.linspace(-8, 1, 200))
        shown = view(radiance[:, None].expand(-1, 3))[:, 1].numpy()
        inside = shown < 0.999
        assert np.abs(view.tone_curve.encode(radiance.numpy()) - shown).max() < 1e-3
        assert np.abs(np.log2(view.tone_curve.decode(shown[inside]) / radiance.numpy()[inside])).max() < 0.02
        ends = np.array([0.0, 1.0])
        assert np.abs(view.tone_curve.encode(view.tone_curve.decode(ends)) - ends).max() < 2e-3
