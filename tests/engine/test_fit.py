# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole fits of small scenes to photos that Cycles took, with full light transport: is what was hidden found again?"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
import torch

from likeness.bridge.read_scene import read_scene
from likeness.engine import fit as fit_module
from likeness.engine.color.srgb import srgb_decode
from likeness.engine.errors import CancelledError, DivergedError
from likeness.engine.fit import fit
from likeness.engine.job import CHECKPOINT
from likeness.engine.result import FitResult, FitSettings, FittedImage, Target
from likeness.engine.scene import Photo, Scene, colour, scalar
from tests.scenes import build
from tests.scenes.cycles import reference_settings, render_cycles, render_photo

SIDE, SAMPLES = 64, 64
TRUE_POWER, TRUE_COLOR = 300.0, (1.0, 0.7, 0.4)


def pattern() -> np.ndarray:
    """Linear base colours [16, 16, 3]: soft blobs, distinct in each channel."""
    v, u = np.meshgrid(np.arange(16) / 16, np.arange(16) / 16, indexing="ij")
    red = 0.35 + 0.25 * np.sin(2 * np.pi * u)
    green = 0.35 + 0.25 * np.cos(2 * np.pi * v)
    return np.stack([red, green, 0.2 + 0.1 * np.sin(2 * np.pi * (u + v))], axis=-1)


class Stage:
    """A patterned plane and a plain ball on it under one soft lamp, with Cycles' pictures in a folder."""

    def __init__(self, folder: Path, **look: object) -> None:
        self.folder = folder
        self.bpy_scene = build.new_scene()
        build.set_world(self.bpy_scene, (0.3, 0.35, 0.4))
        image = build.add_image("Pattern", build.encode_srgb(pattern()), "sRGB")
        mapping = look.pop("mapping", None)
        cloth = build.add_material("Cloth", maps={"base_color": image}, roughness=0.7, mapping=mapping)
        build.add_plane("Table", cloth, size=4.0)
        ball = {"base_color": (0.5, 0.2, 0.1), "roughness": 0.3} | look
        build.add_sphere("Ball", build.add_material("Ball", **ball), 0.6, (0.0, 0.0, 0.6), rows=24, columns=48)
        build.add_light(
            "POINT", (1.6, -1.2, 2.8), energy=TRUE_POWER, color=TRUE_COLOR, shadow_soft_size=0.2, name="Lamp"
        )
        self.cameras = [
            build.add_camera("Left", (-1.8, -2.6, 2.8), (0.0, 0.0, 0.2), lens=35.0),
            build.add_camera("Right", (2.4, -1.8, 2.8), (0.0, 0.0, 0.2), lens=35.0),
        ]

    def photograph(self, sizes: tuple[tuple[int, int], ...] = ((SIDE, SIDE),) * 2, linear: bool = False) -> Scene:
        """The scene as the engine sees it, with a photo of each camera."""
        photos = []
        for camera, (width, height) in zip(self.cameras, sizes, strict=False):
            path = self.folder / f"{camera.name}.{'exr' if linear else 'png'}"
            arguments = {"width": width, "height": height, "samples": SAMPLES, "direct_only": False}
            if linear:
                render_cycles(self.bpy_scene, camera, path, **arguments)
            else:
                reference_settings(self.bpy_scene, width, height, SAMPLES, False)
                render_photo(self.bpy_scene, camera, path)
            photos.append(Photo(camera.name, str(path), name=camera.name))
        scene = read_scene(self.bpy_scene)
        scene.photos = photos
        return scene


@functools.cache
def _pictures(folder: Path) -> Scene:
    return Stage(folder).photograph()


@pytest.fixture
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The stage with two 8-bit photos; taken once, read anew for every test."""
    folder = Path(tmp_path_factory.getbasetemp()) / "stage"
    folder.mkdir(exist_ok=True)
    import copy

    return copy.deepcopy(_pictures(folder))


def settings(*targets: str, iterations: int = 160, texture: int = 16, **more: object) -> FitSettings:
    """Settings for a quick fit; a target is written as on the command line."""
    parsed = [Target(*target.split("@")) for target in targets]
    return FitSettings(parsed, iterations, SIDE, texture, "cpu", **more)


def run(scene: Scene, wanted: FitSettings, **more: object) -> FitResult:
    """A fit to its end."""
    steps = fit(scene, wanted, **more)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def image_of(result: FitResult, material: str, socket: str) -> FittedImage:
    return next(image for image in result.images if (image.material, image.socket) == (material, socket))


def seen(result: FitResult, material: str, size: int) -> np.ndarray:
    """Texels [size, size] that the photos saw well."""
    coverage = torch.from_numpy(result.coverage[material])[None, None]
    coverage = torch.nn.functional.interpolate(coverage, (size, size), mode="area")[0, 0].numpy()
    return coverage > 0.5 * np.median(coverage[coverage > 0])


def improves(result: FitResult) -> bool:
    return all(photo.psnr_after > photo.psnr_before for photo in result.photos)


def grey_cloth(scene: Scene) -> Scene:
    scene.materials["Cloth"].base_color = colour(0.5, 0.5, 0.5)
    return scene


def test_base_color(scene: Scene) -> None:
    result = run(grey_cloth(scene), settings("base_color@Cloth", iterations=240))
    image = image_of(result, "Cloth", "base_color")
    assert (image.encoding, image.bits, image.pixels.shape) == ("sRGB", 8, (16, 16, 3))
    known = seen(result, "Cloth", 16)
    assert known.sum() > 30
    error = srgb_decode(image.pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.05  # 26 dB, what full-size fits must reach
    assert improves(result)
    assert all(photo.psnr_after > 30 for photo in result.photos)


def test_roughness(tmp_path: Path) -> None:
    """A metal ball that fills the picture: its blurred lamp tells the roughness."""
    stage = Stage(tmp_path, metallic=1.0, base_color=(0.8, 0.7, 0.6))
    for camera in stage.cameras:
        camera.data.lens = 90.0
        build.aim(camera, (0.0, 0.0, 0.6))
    scene = stage.photograph()
    scene.materials["Ball"].roughness = scalar(0.6)
    result = run(scene, settings("roughness@Ball", texture=8))
    image = image_of(result, "Ball", "roughness")
    assert (image.encoding, image.bits, image.pixels.shape) == ("linear", 16, (8, 8, 1))
    assert np.median(image.pixels[seen(result, "Ball", 8)]) == pytest.approx(0.3, abs=0.08)
    assert improves(result)


def test_light(scene: Scene) -> None:
    lamp = scene.lights[0]
    lamp.energy, lamp.color = 60.0, np.ones(3, np.float32)
    result = run(scene, settings("lights@Lamp"))
    [found] = result.lights
    assert found.data_name == "Lamp"
    assert found.color.max() == pytest.approx(1.0)
    power = found.energy * np.asarray(found.color)
    assert power == pytest.approx(TRUE_POWER * np.array(TRUE_COLOR), rel=0.05)
    assert not result.images
    assert improves(result)


def mean_sky(result: FitResult) -> np.ndarray:
    """Irradiance of an upward plane over pi [3]: no direction is seen by itself, photos tell what all give together."""
    assert result.world is not None
    assert result.world.pixels is not None
    rows = result.world.pixels.shape[0]
    height = np.pi * ((np.arange(rows) + 0.5) / rows - 0.5)
    weight = np.maximum(np.sin(height), 0) * np.cos(height)
    return (result.world.pixels.mean(1) * weight[:, None]).sum(0) / weight.sum() * result.world.strength


def test_world(scene: Scene) -> None:
    scene.world.color = np.full(3, 0.05, np.float32)
    result = run(scene, settings("world"))
    assert mean_sky(result).mean() == pytest.approx(0.35, rel=0.05)
    assert improves(result)
    assert all(photo.psnr_after > 30 for photo in result.photos)


def test_hue_of_the_world(scene: Scene) -> None:
    scene.world.color = np.full(3, 0.05, np.float32)
    assert mean_sky(run(scene, settings("world"))) == pytest.approx([0.3, 0.35, 0.4], rel=0.05)


def test_world_strength(scene: Scene) -> None:
    scene.world.strength = 0.3
    result = run(scene, settings("world_strength"))
    assert result.world is not None
    assert result.world.pixels is None
    assert result.world.strength == pytest.approx(1.0, rel=0.05)


def test_exposure_and_white_balance(scene: Scene) -> None:
    """Linear photos would be too easy: 8-bit ones, as if the camera had been set 0.7 stops brighter and warmer."""
    from PIL import Image as PillowImage

    gain = 2.0**-0.4 * np.array([1.15, 1.0, 0.85])
    path = Path(scene.photos[0].path).with_name("warm.png")
    pixels = srgb_decode(np.asarray(PillowImage.open(scene.photos[0].path), np.float32) / 255) * gain
    PillowImage.fromarray((build.encode_srgb(pixels) * 255 + 0.5).astype(np.uint8)).save(path)
    scene.photos[0].path = str(path)
    result = run(scene, settings("exposure", "white_balance"))
    warm, plain = result.photos
    assert result.exposure is not None
    assert result.exposure + warm.exposure == pytest.approx(-0.4, abs=0.05)
    assert result.exposure + plain.exposure == pytest.approx(0.0, abs=0.05)
    assert warm.white_balance == pytest.approx([1.15, 1.0, 0.85], rel=0.03)
    assert plain.white_balance == pytest.approx([1.0, 1.0, 1.0], rel=0.03)


def test_emission(tmp_path: Path) -> None:
    stage = Stage(tmp_path, emission_color=(0.1, 0.6, 0.3), emission_strength=0.5)
    scene = stage.photograph()
    scene.materials["Ball"].emission_strength = scalar(0.0)
    result = run(scene, settings("emission@Ball", texture=8))
    image = image_of(result, "Ball", "emission")
    assert (image.encoding, image.bits) == ("linear", 32)
    found = np.median(image.pixels[seen(result, "Ball", 8)], axis=0)
    assert found == pytest.approx([0.05, 0.3, 0.15], abs=0.04)
    assert improves(result)


def test_normal(tmp_path: Path) -> None:
    """A table whose normals all lean the same way, lit in three colours from three sides: one lamp alone tells of one
    direction only (photometric stereo, Woodham 1980)."""
    leaning = np.array([0.35, 0.2, 1.0]) / np.linalg.norm([0.35, 0.2, 1.0])
    stage = Stage(tmp_path)
    image = build.add_image("Lean", np.tile(0.5 + leaning / 2, (4, 4, 1)), "Non-Color", is_float=True)
    slots = bpy.data.objects["Table"].data.materials
    slots[0] = build.add_material("Slate", normal=image, base_color=(0.4, 0.4, 0.4), roughness=0.8)
    build.add_light("SUN", (-2.0, -0.5, 2.0), energy=1.5, color=(0.1, 1.0, 0.1), name="Green")
    build.add_light("SUN", (0.5, 2.0, 2.0), energy=1.5, color=(0.1, 0.1, 1.0), name="Blue")
    scene = stage.photograph()
    scene.materials["Slate"].normal = None
    result = run(scene, settings("normal@Slate", texture=8, iterations=240))
    values = image_of(result, "Slate", "normal").pixels[seen(result, "Slate", 8)] * 2 - 1
    found = np.median(values / np.linalg.norm(values, axis=-1, keepdims=True), axis=0)
    assert np.degrees(np.arccos(np.clip(found @ leaning, -1, 1))) < 6.0
    assert improves(result)


def test_several_materials(scene: Scene) -> None:
    grey_cloth(scene).materials["Ball"].base_color = colour(0.5, 0.5, 0.5)
    result = run(scene, settings("base_color@Cloth", "base_color@Ball", iterations=240))
    assert {image.material for image in result.images} == {"Cloth", "Ball"}
    ball = srgb_decode(image_of(result, "Ball", "base_color").pixels)[seen(result, "Ball", 16)]
    assert np.median(ball, axis=0) == pytest.approx([0.5, 0.2, 0.1], abs=0.05)
    known = seen(result, "Cloth", 16)
    error = srgb_decode(image_of(result, "Cloth", "base_color").pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.05


def test_texture_with_a_mapping_node(tmp_path: Path) -> None:
    """The new image must lie under the same Mapping node as the old one."""
    stage = Stage(
        tmp_path, mapping={"Location": (0.3, 0.1, 0.0), "Rotation": (0.0, 0.0, 0.5), "Scale": (1.5, 1.5, 1.0)}
    )
    scene = stage.photograph()
    texture = scene.materials["Cloth"].base_color.texture
    assert texture is not None
    scene.images[texture.image].pixels = np.full_like(scene.images[texture.image].pixels, 0.6)
    result = run(scene, settings("base_color@Cloth", iterations=240))
    known = seen(result, "Cloth", 16)
    error = srgb_decode(image_of(result, "Cloth", "base_color").pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.06


def test_linear_photos(tmp_path: Path) -> None:
    scene = grey_cloth(Stage(tmp_path).photograph(linear=True))
    result = run(scene, settings("base_color@Cloth", iterations=240))
    known = seen(result, "Cloth", 16)
    error = srgb_decode(image_of(result, "Cloth", "base_color").pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.05
    assert improves(result)
    assert all(photo.psnr_after > 30 for photo in result.photos)


def test_photos_of_different_sizes(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    scene = grey_cloth(stage.photograph(sizes=((64, 40), (42, 64))))
    result = run(scene, settings("base_color@Cloth", iterations=240))
    assert [photo.photo.shape for photo in result.photos] == [(40, 64, 3), (64, 42, 3)]
    known = seen(result, "Cloth", 16)
    error = srgb_decode(image_of(result, "Cloth", "base_color").pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.06


def test_mask(scene: Scene, tmp_path: Path) -> None:
    """A pink hand before the lens: without its mask the table would turn pink."""
    from PIL import Image as PillowImage

    for photo in scene.photos:
        pixels = np.asarray(PillowImage.open(photo.path)).copy()
        pixels[:, :24] = (255, 0, 255)
        photo.path = str(tmp_path / f"{photo.name}.png")
        PillowImage.fromarray(pixels).save(photo.path)
        mask = np.full(pixels.shape[:2], 255, np.uint8)
        mask[:, :24] = 0
        photo.mask_path = str(tmp_path / f"{photo.name} mask.png")
        PillowImage.fromarray(mask).save(photo.mask_path)
    result = run(grey_cloth(scene), settings("base_color@Cloth", iterations=240))
    known = seen(result, "Cloth", 16)
    error = srgb_decode(image_of(result, "Cloth", "base_color").pixels)[known] - pattern()[known]
    assert np.sqrt((error**2).mean()) < 0.05
    assert result.photos[0].mask is not None
    assert (result.photos[0].mask[:, :24] == 0).all()


# --- how a fit behaves ----------------------------------------------------------------------------------------------

SHORT = {"iterations": 40, "texture": 8}
ALL = ("base_color", "roughness", "metallic", "lights", "world_strength", "exposure")


def assert_identical(one: FitResult, other: FitResult) -> None:
    assert [loss for *_, loss in one.history] == [loss for *_, loss in other.history]
    for a, b in zip(one.images, other.images, strict=True):
        assert np.array_equal(a.pixels, b.pixels)
    for a, b in zip(one.lights, other.lights, strict=True):
        assert a.energy == b.energy
        assert np.array_equal(a.color, b.color)
    assert one.world is not None
    assert other.world is not None
    assert one.world.strength == other.world.strength
    for a, b in zip(one.photos, other.photos, strict=True):
        assert a.exposure == b.exposure
        assert np.array_equal(a.after, b.after)


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, FitResult]:
    return {}


def _reference(scene: Scene, kept: dict[str, FitResult]) -> FitResult:
    import copy

    if "result" not in kept:
        kept["result"] = run(copy.deepcopy(scene), settings(*ALL, **SHORT, seed=3))
    return kept["result"]


def test_same_seed_same_result(scene: Scene, uninterrupted: dict[str, FitResult]) -> None:
    assert_identical(_reference(scene, uninterrupted), run(scene, settings(*ALL, **SHORT, seed=3)))


def test_other_seed_other_samples(scene: Scene, uninterrupted: dict[str, FitResult]) -> None:
    other = run(scene, settings(*ALL, **SHORT, seed=4))
    assert other.history[0][2] != _reference(scene, uninterrupted).history[0][2]


@pytest.mark.parametrize("share", [0.2, 0.45, 0.9])
def test_resumed_fit_ends_where_an_uninterrupted_one_does(
    scene: Scene, share: float, uninterrupted: dict[str, FitResult], tmp_path: Path
) -> None:
    import copy

    expected = _reference(scene, uninterrupted)
    steps = fit(copy.deepcopy(scene), settings(*ALL, **SHORT, seed=3), tmp_path)
    for progress in steps:
        if progress.iteration >= share * progress.iterations:
            break
    began = time.process_time()
    with pytest.raises(StopIteration) as end:
        steps.throw(CancelledError("enough"))
    partial: FitResult = end.value.value
    assert time.process_time() - began < 2.0  # a second on two cores: the machine may be busy with other things
    assert partial.cancelled
    assert partial.iterations == progress.iteration
    assert len(partial.history) == progress.iteration
    assert partial.photos[0].after.shape == (SIDE, SIDE, 3)
    assert (tmp_path / CHECKPOINT).is_file()
    resumed = run(scene, settings(*ALL, **SHORT, seed=3), run_dir=tmp_path, resume=True)
    assert not resumed.cancelled
    assert_identical(expected, resumed)


def test_closing_the_generator_saves(scene: Scene, tmp_path: Path) -> None:
    steps = fit(scene, settings("roughness@Ball", **SHORT), tmp_path)
    next(steps)
    steps.close()
    assert (tmp_path / CHECKPOINT).is_file()


def test_progress_and_history_count_every_iteration(scene: Scene) -> None:
    steps = fit(scene, settings("roughness@Ball", **SHORT))
    seen_progress = []
    try:
        while True:
            seen_progress.append(next(steps))
    except StopIteration as end:
        result: FitResult = end.value
    total = seen_progress[0].iterations
    assert [p.iteration for p in seen_progress] == list(range(1, total + 1))
    assert [i for i, *_ in result.history] == list(range(1, total + 1))
    assert result.iterations == total
    assert all(p.rate > 0 and p.seconds_left >= 0 for p in seen_progress)
    assert seen_progress[-1].seconds_left == pytest.approx(0.0, abs=1e-6)


def test_a_loss_that_is_no_number_keeps_the_last_good_state(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A light whose power becomes NaN half-way. The run must say so, and what it reached must be resumable."""
    runs = []
    real: Callable = fit_module.FitRun.__init__

    def remember(self, *arguments: object) -> None:
        real(self, *arguments)
        runs.append(self)

    monkeypatch.setattr(fit_module.FitRun, "__init__", remember)
    wanted = settings("lights", "roughness@Ball", **SHORT)
    steps = fit(scene, wanted, tmp_path)
    for progress in steps:
        if progress.iteration == progress.iterations // 2:
            break
    with torch.no_grad():
        runs[0].parameters.light_log.fill_(float("nan"))
    with pytest.raises(DivergedError, match="diverged at iteration"):
        list(steps)
    assert all(torch.isfinite(t).all() for t in runs[0].parameters.scene_tensors().values())
    resumed = run(scene, wanted, run_dir=tmp_path, resume=True)
    assert all(np.isfinite(loss) for *_, loss in resumed.history)
    assert np.isfinite(resumed.lights[0].energy)
