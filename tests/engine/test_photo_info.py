# SPDX-License-Identifier: GPL-3.0-or-later
"""What a photo's file says about itself: against Pillow, LittleCMS and OpenEXR, which wrote the files."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms, PngImagePlugin, TiffImagePlugin

from likeness.engine.errors import PhotoError
from likeness.engine.images_io import write_exr
from likeness.engine.photo_info import read_photo_info
from likeness.engine.photos import load_photo
from likeness.engine.scene import Photo

ORIENTATION, MAKE, MODEL, EXIF_IFD = 0x0112, 0x010F, 0x0110, 0x8769
FOCAL_LENGTH, FOCAL_LENGTH_35, PIXEL_X, PIXEL_Y = 0x920A, 0xA405, 0xA002, 0xA003
FOCAL_PLANE_X, FOCAL_PLANE_Y, FOCAL_PLANE_UNIT = 0xA20E, 0xA20F, 0xA210
DATA = Path(os.environ.get("LIKENESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
REAL_PHOTOS = sorted(DATA.rglob("*.jpg"))


def exif(orientation: int = 1, **tags: Any) -> bytes:
    block = PillowImage.Exif()
    block[ORIENTATION], block[MAKE], block[MODEL] = orientation, "Höll", "Mittel 6"
    block.get_ifd(EXIF_IFD).update({globals()[name]: value for name, value in tags.items()})
    return block.tobytes()


def saved(path: Path, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options: Any) -> str:
    PillowImage.effect_noise(size, 50).convert(mode).save(path, **options)
    return str(path)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_as_pillow_wrote_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    block = exif(orientation, FOCAL_LENGTH=TiffImagePlugin.IFDRational(238, 10), FOCAL_LENGTH_35=36)
    path = saved(tmp_path / f"ä.{suffix}", exif=block)
    info = read_photo_info(path)
    assert (info.width, info.height) == (60, 40)
    assert info.exif.orientation == orientation
    assert info.exif.focal_length == pytest.approx(23.8)
    assert (info.exif.focal_length_35, info.exif.model, info.alpha) == (36, "Mittel 6", False)
    photo = Photo("Camera", path)
    load_photo(photo, 100)
    assert info.size == photo.full_size  # what the engine makes of the orientation
    assert info.summary == f"{info.size[0]} x {info.size[1]}, sRGB, f = 23.8 mm"


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("spelling", ['tiff:Orientation="6"', "<tiff:Orientation>6</tiff:Orientation>"])
def test_orientation_that_only_xmp_knows(tmp_path: Path, suffix: str, spelling: str) -> None:
    xmp = f"<x:xmpmeta xmlns:x='adobe:ns:meta/'>{spelling}</x:xmpmeta>".encode()
    options: dict[str, Any] = {"xmp": xmp}
    if suffix == "png":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif suffix == "tif":
        options = {"tiffinfo": {700: xmp}}
    path = saved(tmp_path / f"a.{suffix}", **options)
    photo = Photo("Camera", path)
    load_photo(photo, 100)
    assert read_photo_info(path).size == photo.full_size == (40, 60)


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGBA"), ("png", "LA"), ("tif", "RGBA"), ("webp", "RGBA")])
@pytest.mark.parametrize("lossless", [False, True])
def test_alpha(tmp_path: Path, suffix: str, mode: str, lossless: bool) -> None:
    picture = PillowImage.new(mode, (61, 41))
    options = {"lossless": lossless} if suffix == "webp" else {}
    picture.save(tmp_path / f"a.{suffix}", **options)
    info = read_photo_info(str(tmp_path / f"a.{suffix}"))
    assert (info.size, info.alpha) == ((61, 41), True)


@pytest.mark.parametrize("options", [{"lossless": True}, {}, {"progressive": True}, {"big_tiff": True}, {"bits": 16}])
def test_other_kinds_of_the_same_formats(tmp_path: Path, options: dict[str, Any]) -> None:
    suffix = "webp" if "lossless" in options or not options else "jpg" if "progressive" in options else "tif"
    path = tmp_path / f"a.{suffix}"
    if options.pop("bits", 8) == 16:
        PillowImage.fromarray(np.zeros((41, 61), np.uint16)).save(path)
    else:
        saved(path, (61, 41), **options)
    assert read_photo_info(str(path)).size == (61, 41)


def profile(version: float) -> bytes:
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if version == 4:
        return made
    # the same tag as version 2 spells it
    text = b"Display P3 \xe4\0"
    tag = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    return made[:128] + struct.pack(">I4sII", 1, b"desc", 144, len(tag)) + tag


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("version", [2, 4])
def test_profiles_have_names(tmp_path: Path, suffix: str, version: int) -> None:
    icc = profile(version)
    info = read_photo_info(saved(tmp_path / f"a.{suffix}", icc_profile=icc))
    wanted = "Display P3 ä"
    if version == 4:
        wanted = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip()
    assert info.profile == wanted


def test_linear_pictures(tmp_path: Path) -> None:
    write_exr(tmp_path / "a.exr", np.ones((41, 61, 4), np.float32))
    info = read_photo_info(str(tmp_path / "a.exr"))
    assert (info.size, info.alpha, info.linear) == ((61, 41), True, True)
    assert info.summary == "61 x 41, linear, alpha"
    write_exr(tmp_path / "b.exr", np.ones((41, 61, 3), np.float32))
    assert not read_photo_info(str(tmp_path / "b.exr")).alpha
    (tmp_path / "a.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 41 +X 61\n" + bytes(4 * 41 * 61))
    assert read_photo_info(str(tmp_path / "a.hdr")).size == (61, 41)


def lens(path: Path, size: tuple[int, int] = (60, 40), orientation: int = 1, **tags: Any) -> Any:
    return read_photo_info(saved(path, size, exif=exif(orientation, **tags))).lens


def test_lens_from_the_focal_plane_resolution(tmp_path: Path) -> None:
    # 60 pixels on 36 mm, in inches and in centimetres; 6 is portrait
    for unit, millimetres in ((2, 25.4), (3, 10.0)):
        density = TiffImagePlugin.IFDRational(round(60 / 36 * millimetres * 10000), 10000)
        for orientation in (1, 6):
            found = lens(tmp_path / "a.jpg", orientation=orientation, FOCAL_LENGTH=24.0, FOCAL_PLANE_UNIT=unit,
                         FOCAL_PLANE_X=density, FOCAL_PLANE_Y=density)  # fmt: skip
            assert found.focal_length == 24
            assert found.sensor == pytest.approx((36, 24), rel=1e-3)
            assert "focal plane" in found.source


def test_lens_from_the_equivalent_on_35_mm_film(tmp_path: Path) -> None:
    # a telephone: 4.25 mm for 26 mm; the diagonal of its sensor is 43.27 mm * 4.25 / 26, its sides are 4 : 3
    found = lens(tmp_path / "a.jpg", (80, 60), FOCAL_LENGTH=4.25, FOCAL_LENGTH_35=26)
    assert found.focal_length == pytest.approx(4.25)
    assert found.sensor == pytest.approx((43.2666 * 4.25 / 26 * 0.8, 43.2666 * 4.25 / 26 * 0.6), rel=1e-4)
    alone = lens(tmp_path / "b.jpg", (60, 40), FOCAL_LENGTH_35=50)
    assert (alone.focal_length, alone.source) == (50, "50 mm on 35 mm film")
    assert alone.sensor == pytest.approx((36, 24), rel=1e-6)


def test_a_scaled_file_that_kept_its_resolution_is_seen_through(tmp_path: Path) -> None:
    found = lens(tmp_path / "a.jpg", FOCAL_LENGTH=50.0, FOCAL_LENGTH_35=50, FOCAL_PLANE_X=2400.0, FOCAL_PLANE_UNIT=2)
    assert found.sensor == pytest.approx((36, 24), rel=1e-6)
    # with the camera's own size in the file it is no riddle
    found = lens(tmp_path / "b.jpg", FOCAL_LENGTH=50.0, FOCAL_PLANE_X=4233.3333, FOCAL_PLANE_UNIT=2,
                 PIXEL_X=6000, PIXEL_Y=4000)  # fmt: skip
    assert found.sensor == pytest.approx((36, 24), rel=1e-3)


def test_without_lens(tmp_path: Path) -> None:
    assert read_photo_info(saved(tmp_path / "a.jpg")).lens is None
    assert lens(tmp_path / "b.jpg", FOCAL_LENGTH=0.0, FOCAL_LENGTH_35=0) is None
    assert lens(tmp_path / "c.jpg", FOCAL_LENGTH=35.0).sensor is None


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "a.exr", "a.hdr"])
def test_cut_and_scrambled_files_are_named_errors(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "a.exr":
        write_exr(path, np.ones((41, 61, 3), np.float32))
    elif name == "a.hdr":
        path.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 41 +X 61\n" + bytes(4 * 41 * 61))
    else:
        saved(path, exif=exif(6, FOCAL_LENGTH=24.0), icc_profile=profile(4))
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    header = min(len(whole), 3000)
    bad = [whole[:length] for length in range(0, header, 19)]
    for _ in range(100):
        scrambled = np.frombuffer(whole, np.uint8).copy()
        places = random.integers(0, header, 4)
        scrambled[places] = random.integers(0, 256, 4)
        bad.append(scrambled.tobytes())
    for data in bad:
        path.write_bytes(data)
        said = ""
        try:
            info = read_photo_info(str(path))
            said = f"{name}: {info.summary}, {info.lens}"
        except PhotoError as error:
            said = str(error)
        assert name in said
        assert "\n" not in said


def test_what_is_no_photo(tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("Dear diary")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, reason in (("notes.jpg", "no JPEG"), ("empty.png", "0 bytes"), ("gone.png", "no file"), ("", "no file")):
        with pytest.raises(PhotoError, match=reason):
            read_photo_info(str(tmp_path / name))


@pytest.mark.skipif(not REAL_PHOTOS, reason="shared/data is not there")
def test_real_photos() -> None:
    for path in REAL_PHOTOS:
        info = read_photo_info(str(path))
        with PillowImage.open(path) as image:
            tags = image.getexif()
            assert (info.width, info.height) == image.size
            assert info.exif.orientation == tags.get(ORIENTATION, 1)
            assert info.exif.model == str(tags.get(MODEL, "")).strip("\0 ")
            focal_length = tags.get_ifd(EXIF_IFD).get(FOCAL_LENGTH)
            assert info.exif.focal_length == (pytest.approx(float(focal_length)) if focal_length else None)
