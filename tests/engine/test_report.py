# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: read back as a browser would, its pictures by Pillow."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from likeness.engine.errors import OutputError
from likeness.engine.report import write_report
from likeness.engine.report_charts import loss_chart
from likeness.engine.report_pictures import coverage_picture, difference_picture, shrunk
from likeness.engine.result import FitResult, FitSettings, FittedImage, FittedLight, FittedWorld, PhotoResult, Target
from likeness.engine.scene import Image, Light, Note, Scene, World

VOID = {"meta", "img", "input", "br", "link", "hr"}
HOSTILE = '<script>alert("Größe & 重")</script>'


class Page(HTMLParser):
    """Collects what a page consists of and checks that its elements are closed in order."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(path.read_text("utf-8"))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def image(self, alt: str) -> np.ndarray:
        """The first embedded picture of that description, top row first, [H, W, 3 or 1] uint8."""
        source = next(attrs["src"] for tag, attrs in self.tags if tag == "img" and attrs["alt"] == alt)
        assert source is not None
        head, data = source.split(",", 1)
        assert head == "data:image/png;base64"
        with PillowImage.open(io.BytesIO(base64.b64decode(data, validate=True))) as image:
            return np.asarray(image).reshape(image.height, image.width, -1)


def photo_result(name: str, seed: int, size: tuple[int, int] = (24, 36), psnr_after: float = 30.0) -> PhotoResult:
    rng = np.random.default_rng(seed)
    photo, before, after = (rng.random((*size, 3)).astype(np.float32) for _ in range(3))
    mask = (rng.random(size) > 0.3).astype(np.float32)
    return PhotoResult(
        name, f"Cam {name}", 0.25, np.array([1.1, 1.0, 0.9]), photo, before, after, mask, 20.0, psnr_after
    )


@pytest.fixture
def scene() -> Scene:
    return Scene(
        name=HOSTILE,
        images={"sky": Image("sky", np.random.default_rng(0).random((8, 16, 4)).astype(np.float32))},
        lights=[Light("Key", "Key data", "AREA", np.eye(4, dtype=np.float32), 100.0, np.ones(3))],
        world=World("World", strength=2.0, image="sky"),
        notes=[
            Note("ignored", 'Object "Smoke"', "volumes are left out"),
            Note("supported", f'Material "{HOSTILE}"', "Principled BSDF"),
        ],
    )


@pytest.fixture
def result() -> FitResult:
    rng = np.random.default_rng(3)
    return FitResult(
        images=[
            FittedImage(HOSTILE, "base_color", rng.random((16, 16, 3)).astype(np.float32), "sRGB", 8),
            FittedImage("Gold", "roughness", rng.random((16, 16, 1)).astype(np.float32), "linear", 16),
            FittedImage("Gold", "emission", 50 * rng.random((16, 16, 3)).astype(np.float32), "linear", 32),
        ],
        lights=[FittedLight("Key data", 250.0, np.array([1.0, 0.5, 0.25]))],
        world=FittedWorld(1.5, np.ones(3), rng.random((8, 16, 3)).astype(np.float32) * 9),
        exposure=0.75,
        photos=[photo_result(HOSTILE, 1), photo_result("IMG_1", 2, psnr_after=25.0), photo_result("img 1", 3)],
        coverage={"Gold": np.eye(16, dtype=np.float32)},
        history=[(i, "colours" if i < 50 else "details", 1.0 / (i + 1)) for i in range(100)],
        warnings=[f"Photo {HOSTILE} is dark."],
        gauge="The power of the lights was kept.",
        seconds={"colours": 75.2, "details": 10.0},
        iterations=100,
        cancelled=True,
    )


SETTINGS = FitSettings([Target("base_color", HOSTILE), Target("lights")], resolution=384, seed=7)


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    return np.floor(pixels[::-1] * 255 + 0.5).astype(np.uint8)


def test_pictures_in_the_page_are_the_arrays(tmp_path: Path, scene: Scene, result: FitResult) -> None:
    page = Page(write_report(tmp_path, scene, SETTINGS, result))
    for photo in result.photos:
        assert np.array_equal(page.image(f"photo {photo.name}"), eight_bits(photo.photo))
        assert np.array_equal(page.image(f"render before the fit, {photo.name}"), eight_bits(photo.before))
        assert np.array_equal(page.image(f"render after the fit, {photo.name}"), eight_bits(photo.after))
    assert np.array_equal(page.image(f"base color of {HOSTILE}"), eight_bits(result.images[0].pixels))
    assert np.array_equal(page.image("roughness of Gold"), eight_bits(result.images[1].pixels))


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path, scene: Scene, result: FitResult) -> None:
    path = write_report(tmp_path, scene, SETTINGS, result)
    page = Page(path)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    without_pictures = re.sub(r"data:image/png;base64,[\w+/=]+", "", path.read_text("utf-8"))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", without_pictures)


def test_hostile_names_are_text(tmp_path: Path, scene: Scene, result: FitResult) -> None:
    path = write_report(tmp_path, scene, SETTINGS, result)
    page = Page(path)
    assert "<script>alert" not in path.read_text("utf-8")
    assert sum(tag == "script" for tag, _ in page.tags) == 1  # the page's own
    assert page.text.count(HOSTILE) >= 5  # scene, photo, material, warning, note


def test_files_beside_the_page_are_whole_and_do_not_collide(tmp_path: Path, scene: Scene, result: FitResult) -> None:
    result.photos.append(photo_result("Img_1", 4))  # equal to IMG_1 where case does not matter
    write_report(tmp_path / "new" / "folder", scene, SETTINGS, result)
    files = sorted((tmp_path / "new" / "folder" / "pictures").iterdir())
    # three textures, two environments, one coverage map; four pictures of each of four photos
    assert len({file.name.casefold() for file in files}) == len(files) == 3 + 2 + 1 + 4 * 4
    assert all(re.fullmatch(r"[\w.-]+", file.name) for file in files)
    photos = [np.asarray(PillowImage.open(file)) for file in files if file.stem.endswith("_photo")]
    for photo in result.photos:
        assert any(np.array_equal(picture, eight_bits(photo.photo)) for picture in photos)


def test_values_are_told(tmp_path: Path, scene: Scene, result: FitResult) -> None:
    text = Page(write_report(tmp_path, scene, SETTINGS, result)).text
    for value in (
        "20.0 dB → 25.0 dB",
        "Worst match: IMG_1",
        "exposure +0.25 stops",
        "1.10 1.00 0.90",
        "100 W",
        "250 W",
        "1 0.5 0.25",
        "strength 2, image sky",
        "strength 1.5, new image",
        "+0.75 stops",
        "The power of the lights was kept.",
        "stopped early",
        "1 min 15 s",
        "384 pixels",
        "volumes are left out",
        "1 ignored, 1 supported",
        "6 % of the texels seen",
    ):
        assert value in text, value


def test_an_empty_result_still_makes_a_page(tmp_path: Path) -> None:
    page = Page(write_report(tmp_path, Scene(), FitSettings(), FitResult()))
    assert "Likeness report" in page.text
    assert "nan" not in page.text


def test_a_perfect_and_a_failed_photo(tmp_path: Path) -> None:
    perfect, failed = photo_result("a", 1, psnr_after=float("inf")), photo_result("b", 2, psnr_after=float("nan"))
    failed.after[:] = np.nan
    text = Page(write_report(tmp_path, Scene(), FitSettings(), FitResult(photos=[perfect, failed]))).text
    assert "20.0 dB → ∞ dB" in text
    assert "20.0 dB → –" in text


def test_large_pictures_are_reduced_in_the_page_only(tmp_path: Path) -> None:
    photo = photo_result("large", 1, (600, 1600))
    page = Page(write_report(tmp_path, Scene(), FitSettings(), FitResult(photos=[photo])))
    small = page.image("photo large")
    assert small.shape == (200, 533, 3)
    mean = photo.photo[:3, :3].mean((0, 1))
    assert np.abs(small[-1, 0] / 255 - mean).max() < 1 / 255
    with PillowImage.open(tmp_path / "pictures" / "large_photo.png") as whole:
        assert whole.size == (1600, 600)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    with pytest.raises(OutputError, match="report"):
        write_report(tmp_path / "report", Scene(), FitSettings(), FitResult())


def test_difference_picture_gets_brighter_with_the_error_and_grey_under_the_mask() -> None:
    photo = np.full((1, 6, 3), 0.5)
    render = photo.copy()
    render[0, :, 1] += np.array([0, 0.02, -0.05, 0.1, 0.25, 0.3])
    mask = np.ones((1, 6))
    picture = difference_picture(photo, render, mask)[0]
    brightness = picture @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(brightness[:5]) > 0).all()
    assert np.array_equal(picture[4], picture[5])  # four times 0.25 is the end of the scale
    mask[0, 3] = 0
    assert difference_picture(photo, render, mask)[0, 3].tolist() == [0.5, 0.5, 0.5]


def test_coverage_picture_tells_unseen_from_seen() -> None:
    coverage = np.array([[0.0, 0.0], [1e-6, 5.0]], np.float32)
    picture, share = coverage_picture(coverage)
    assert share == 0.5
    assert np.array_equal(picture[0, 0], picture[0, 1])
    assert not np.allclose(picture[1, 0], picture[0, 0], atol=0.05)
    assert coverage_picture(np.zeros((2, 2)))[1] == 0.0


def test_loss_chart_has_a_line_and_a_band_for_each_stage_and_falls_where_the_loss_falls() -> None:
    history = [(i, "light" if i < 40 else "a < b", 10.0 ** (-i / 50)) for i in range(100)]
    history[60] = (60, "a < b", float("nan"))
    root = ElementTree.fromstring(loss_chart(history))
    lines = [element for element in root.iter("polyline") if element.get("class") == "smooth"]
    bands = list(root.iter("rect"))
    assert len(lines) == len(bands) == 2
    assert [title.text for title in root.iter("title")] == ["light", "a < b"]
    points = [tuple(map(float, pair.split(","))) for line in lines for pair in (line.get("points") or "").split()]
    assert all(x0 <= x1 for (x0, _), (x1, _) in pairwise(points))
    assert points[-1][1] > points[0][1] + 150  # down on the screen
    assert loss_chart([]) == ""
    assert loss_chart([(0, "a", float("nan"))]) == ""
    assert ElementTree.fromstring(loss_chart([(5, "a", 1.0)])) is not None


def test_shrunk_averages_whole_blocks() -> None:
    pixels = np.arange(6 * 10, dtype=float).reshape(6, 10, 1)
    small = shrunk(pixels, 4)
    assert small.shape == (2, 3, 1)
    assert small[0, 1, 0] == pixels[:3, 3:6].mean()
    assert shrunk(pixels, 10) is pixels
