# SPDX-License-Identifier: GPL-3.0-or-later
"""View transforms against Blender's own pictures, gradients against float64 differences of the published chains."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from likeness.engine.color import BakedView, ViewTransform, bake, srgb_decode, srgb_encode
from likeness.engine.errors import LikenessError, SceneError
from likeness.engine.scene import ViewSettings

COLOUR_MANAGEMENT = Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "colormanagement"
CONFIG = str(COLOUR_MANAGEMENT / "config.ocio")
VIEWS = ["Standard", "AgX", "Filmic"]


def settings(view: str, look: str = "None", exposure: float = 0.0, gamma: float = 1.0) -> ViewSettings:
    return ViewSettings(view, look, exposure, gamma, config_path=CONFIG)


def random_colours(count: int, concentration: float, seed: int) -> np.ndarray:
    """HDR colours [count, 3] over 14 stops; a low concentration gives saturated ones."""
    rng = np.random.default_rng(seed)
    intensity = 2.0 ** rng.uniform(-9, 5, (count, 1))
    return (3 * intensity * rng.dirichlet([concentration] * 3, count)).astype(np.float32)


def blender_picture(colours: np.ndarray, view: ViewSettings, folder: Path) -> np.ndarray:
    """What Blender saves for the colours [N, 3] as an 8-bit PNG: [N, 3] uint8."""
    scene = bpy.data.scenes.new("colour")
    image = bpy.data.images.new("colours", len(colours), 1, float_buffer=True)
    try:
        scene.display_settings.display_device = "sRGB"
        scene.view_settings.view_transform = view.view_transform
        scene.view_settings.look = view.look
        scene.view_settings.exposure = view.exposure
        scene.view_settings.gamma = view.gamma
        scene.render.dither_intensity = 0.0
        scene.render.image_settings.file_format = "PNG"
        scene.render.image_settings.color_mode = "RGB"
        scene.render.image_settings.color_depth = "8"
        image.pixels.foreach_set(np.c_[colours, np.ones(len(colours), np.float32)].ravel())
        image.save_render(str(folder / "colours.png"), scene=scene)
    finally:
        bpy.data.images.remove(image)
        bpy.data.scenes.remove(scene)
    return np.asarray(PillowImage.open(folder / "colours.png"))[0]


@pytest.mark.parametrize(
    ("view", "look", "exposure", "gamma"),
    [
        ("Standard", "None", 0.0, 1.0),
        ("Standard", "None", -1.3, 1.4),
        ("Standard", "Low Contrast", 0.0, 1.0),
        ("Raw", "None", 0.0, 1.0),
        ("AgX", "None", 0.0, 1.0),
        ("AgX", "None", 1.7, 0.8),
        ("AgX", "AgX - Punchy", 0.0, 1.0),
        ("AgX", "AgX - Punchy", -0.5, 1.2),
        ("AgX", "AgX - Greyscale", 0.0, 1.0),
        ("AgX", "AgX - Very High Contrast", 0.0, 1.0),
        ("AgX", "AgX - Medium Low Contrast", 0.5, 1.0),
        ("Filmic", "None", 0.0, 1.0),
        ("Filmic", "None", 0.6, 1.5),
        ("Filmic", "Very High Contrast", 0.0, 1.0),
        ("Filmic", "Low Contrast", -2.0, 1.0),
        ("Filmic Log", "None", 0.0, 1.0),
        ("Khronos PBR Neutral", "None", 0.0, 1.0),
    ],
)
def test_matches_blender_to_one_step_of_eight_bits(view, look, exposure, gamma, tmp_path):
    colours = np.concatenate([random_colours(20000, 3.0, 1), random_colours(10000, 0.5, 2)])
    chosen = settings(view, look, exposure, gamma)
    expected = blender_picture(colours, chosen, tmp_path)
    ours = ViewTransform(chosen)(torch.from_numpy(colours)).numpy()
    error = np.abs(ours * 255 - expected)
    assert np.quantile(error, 0.999) <= 1.0
    # after Blender's rounding nearly all values are the very same
    assert np.mean(np.floor(ours * 255 + 0.5) == expected) >= 0.99


@pytest.mark.parametrize("view", ["ACES 1.3", "ACES 2.0", "False Color"])
def test_sampled_and_stepped_views_are_close_on_ordinary_colours(view, tmp_path):
    if bpy.app.version < (5, 0):
        pytest.skip("the ACES views came with Blender 5.0")
    colours = random_colours(20000, 8.0, 3)
    expected = blender_picture(colours, settings(view), tmp_path)
    error = np.abs(ViewTransform(settings(view))(torch.from_numpy(colours)).numpy() * 255 - expected)
    assert np.quantile(error, 0.999) <= 2.0
    assert error.mean() <= 0.5  # rounding alone gives 0.25


def reference_standard(rgb: np.ndarray) -> np.ndarray:
    x = np.clip(rgb, 0, 1)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)


def reference_agx(rgb: np.ndarray) -> np.ndarray:
    """AgX in float64, written down after docs/blender-image-formation.md §4 and read from the cube file itself."""
    lines = (COLOUR_MANAGEMENT / "luts" / "AgX_Base_sRGB.cube").read_text().splitlines()
    table = np.array([line.split() for line in lines if line[:1].isdigit()], np.float64).reshape(57, 57, 57, 3)
    to_e_gamut = np.array(
        [[0.559371, 0.304783, 0.135846], [0.076221, 0.787972, 0.135807], [0.065527, 0.164547, 0.769926]]
    )
    position = np.clip((np.log2(rgb @ to_e_gamut.T) + 12.47393) / 25.0, 0, 1) * 56
    result = np.empty_like(rgb)
    for n, p in enumerate(position):
        cell = np.minimum(p.astype(int), 55)
        fraction = p - cell
        corner = cell.copy()
        value = table[tuple(corner[::-1])].copy()  # red varies fastest in the file
        for axis in np.argsort(-fraction):
            before = table[tuple(corner[::-1])]
            corner[axis] += 1
            value += fraction[axis] * (table[tuple(corner[::-1])] - before)
        result[n] = value
    return reference_standard(result**2.4)


@pytest.mark.parametrize(("view", "reference"), [("Standard", reference_standard), ("AgX", reference_agx)])
def test_gradient_is_that_of_the_formula(view: str, reference: Callable[[np.ndarray], np.ndarray]):
    colours = random_colours(2000, 4.0, 4).astype(np.float64)
    colours = colours[(colours > 0.01).all(-1)][:600]
    value = reference(colours)
    # below 5 % OpenColorIO's sRGB curve has its corner at .0393, the standard at .0405
    inside = ((value > 0.05) & (value < 0.99)).all(-1)
    steps = 1e-7 * colours.max(-1, keepdims=True)
    jacobian = np.stack(
        [(reference(colours + steps * axis) - reference(colours - steps * axis)) / (2 * steps) for axis in np.eye(3)],
        axis=-1,
    )
    half = np.stack([(reference(colours + 10 * steps * axis) - value) / (10 * steps) for axis in np.eye(3)], axis=-1)
    # at the edges of the cube's cells the slope jumps; there the two differences disagree
    smooth = (np.abs(half - jacobian).max((1, 2)) < 1e-3 * np.abs(jacobian).max((1, 2))) & inside
    assert smooth.sum() > 200
    pull = np.random.default_rng(5).normal(size=(600, 3))
    expected = np.einsum("nij,ni->nj", jacobian, pull)[smooth]

    rgb = torch.tensor(colours, dtype=torch.float32, requires_grad=True)
    out = ViewTransform(settings(view))(rgb)
    assert np.abs(out.detach().numpy() - value).max() < 1e-4
    out.backward(torch.tensor(pull, dtype=torch.float32))
    scale = np.linalg.norm(jacobian, axis=(1, 2)) * np.linalg.norm(pull, axis=1)
    assert (np.abs(rgb.grad.numpy()[smooth] - expected) / scale[smooth, None]).max() < 1e-3


def test_gradient_with_respect_to_exposure():
    stops = torch.tensor(0.3, requires_grad=True)
    # all channels inside of the range: outside of it the slopes are not those of the formula
    colours = torch.from_numpy(np.random.default_rng(6).uniform(0.02, 2.0, (50, 3)).astype(np.float32))
    view = ViewTransform(settings("AgX"))
    view(colours, stops).sum().backward()
    h = 1e-6
    bright, dark = (reference_agx(colours.double().numpy() * 2 ** (0.3 + d)).sum() for d in (h, -h))
    assert float(stops.grad) == pytest.approx((bright - dark) / (2 * h), rel=2e-3)
    assert torch.equal(view(colours, 1.0), view(colours * 2))


@pytest.mark.parametrize("view", VIEWS)
def test_exposure_of_the_scene_and_of_the_call_add_up(view):
    colours = torch.from_numpy(random_colours(1000, 2.0, 7))
    whole = ViewTransform(settings(view, exposure=1.25))(colours)
    parts = ViewTransform(settings(view, exposure=1.0))(colours, 0.25)
    assert (whole - parts).abs().max() < 1e-4


@pytest.mark.parametrize("view", VIEWS)
def test_clipped_highlights_match_clipped_photos_without_a_pull(view):
    rgb = torch.full((1, 3), 2.0**14, requires_grad=True)
    out = ViewTransform(settings(view))(rgb)
    assert float(out.detach().min()) > 1 - 0.5 / 255
    (out - torch.ones(1, 3)).clamp(max=0).abs().sum().backward()
    assert not rgb.grad.any()
    # a loss that wants it brighter still gets the true slope, which is next to nothing
    (-ViewTransform(settings(view))(rgb)).sum().backward()
    assert rgb.grad.abs().max() < 1e-4


@pytest.mark.parametrize("view", [*VIEWS, "Khronos PBR Neutral", "Raw"])
@pytest.mark.parametrize("start", [0.0, 1e-6, 200.0, 30000.0])
def test_a_render_outside_of_the_range_finds_back(view, start):
    """Adam on the radiance (its logarithm when it is too bright), photo at 60 %, as a fit would do it."""
    transform = ViewTransform(settings(view))
    bright = start > 1
    free = torch.full((1, 3), float(np.log(start)) if bright else start, requires_grad=True)
    optimiser = torch.optim.Adam([free], lr=0.1 if bright else 0.01)
    for _ in range(300):
        optimiser.zero_grad()
        out = transform(free.exp() if bright else free)
        ((out - 0.6) ** 2).sum().backward()
        optimiser.step()
    assert float((out.detach() - 0.6).abs().max()) < 0.02


@pytest.mark.parametrize("view", [*VIEWS, "Raw"])
@pytest.mark.parametrize("exposure", [0.0, 1.5])
def test_inverse_shows_the_same_picture(view, exposure):
    transform = ViewTransform(settings(view, exposure=0.5))
    picture = transform(torch.from_numpy(random_colours(20000, 2.0, 8)), exposure)
    linear = transform.inverse(picture, exposure)
    error = (transform(linear, exposure) - picture).abs() * 255
    assert float(error.quantile(0.99)) < 0.5
    assert torch.isfinite(linear).all()
    assert linear.min() >= 0


def test_inverse_of_standard_is_exact():
    picture = torch.linspace(0, 1, 3 * 341).reshape(-1, 3)
    linear = ViewTransform(settings("Standard")).inverse(picture)
    assert (linear - srgb_decode(picture.double())).abs().max() < 1e-4


def test_inverse_of_impossible_colours_is_finite():
    corners = torch.tensor([[r, g, b] for r in (0.0, 1.0) for g in (0.0, 1.0) for b in (0.0, 1.0)])
    for view in VIEWS:
        assert torch.isfinite(ViewTransform(settings(view)).inverse(corners)).all()


def test_baked_view_needs_no_configuration(tmp_path):
    chosen = settings("AgX", "AgX - High Contrast", 0.4, 1.1)
    np.savez(tmp_path / "view.npz", **bake(chosen).arrays())
    with np.load(tmp_path / "view.npz") as arrays:
        restored = ViewTransform.from_baked(BakedView.from_arrays(arrays))
    colours = torch.from_numpy(random_colours(1000, 2.0, 9)).reshape(10, 100, 3)
    assert torch.equal(restored(colours), ViewTransform(chosen)(colours))


def test_standard_and_raw_need_no_configuration():
    chosen = ViewSettings("Standard", config_path="/nowhere/config.ocio")
    grey = ViewTransform(chosen)(torch.full((2, 3), 0.18))
    assert float(grey[0, 0]) == pytest.approx(0.461356, abs=1e-5)
    assert float(ViewTransform(ViewSettings("Raw"))(torch.tensor([[0.18, 2.0, -1.0]])).sum()) == pytest.approx(1.18)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (ViewSettings("Technicolor", config_path=CONFIG), "Technicolor"),
        (ViewSettings("AgX", "Punchier", config_path=CONFIG), "Punchier"),
        (ViewSettings("AgX", display="Cinema", config_path=CONFIG), "Cinema"),
        (ViewSettings("AgX", config_path="/nowhere/config.ocio"), "/nowhere/config.ocio"),
    ],
)
def test_unknown_names_are_named(wrong: ViewSettings, named: str):
    with pytest.raises(SceneError, match=named) as caught:
        ViewTransform(wrong)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, LikenessError)


def test_broken_configuration_is_named(tmp_path):
    (tmp_path / "config.ocio").write_text("not a configuration")
    with pytest.raises(SceneError, match=r"config\.ocio"):
        bake(ViewSettings("AgX", config_path=str(tmp_path / "config.ocio")))


def test_shapes_and_types_survive():
    transform = ViewTransform(settings("AgX"))
    assert transform(torch.zeros(0, 3)).shape == (0, 3)
    assert transform(torch.full((2, 3, 4, 3), 0.18, dtype=torch.float64)).dtype == torch.float64
    picture = torch.rand(4, 6, 3).transpose(0, 1)  # not contiguous
    assert torch.equal(transform(picture), transform(picture.contiguous()))


def test_srgb_is_the_standard_in_numpy_and_torch():
    x = np.linspace(-0.1, 1.5, 1001)
    assert np.abs(srgb_encode(torch.from_numpy(x)).numpy() - srgb_encode(x)).max() < 1e-12
    assert np.abs(srgb_decode(torch.from_numpy(x)).numpy() - srgb_decode(x)).max() < 1e-12
    assert np.abs(srgb_decode(srgb_encode(x)) - x).max() < 1e-6
    # IEC 61966-2-1 by hand
    assert srgb_encode(np.array([0.002, 0.5])) == pytest.approx([0.02584, 1.055 * 0.5 ** (1 / 2.4) - 0.055])
    assert srgb_decode(np.array([0.04, 0.5])) == pytest.approx([0.04 / 12.92, (0.555 / 1.055) ** 2.4])


@pytest.mark.parametrize("function", [srgb_encode, srgb_decode])
def test_srgb_gradients_are_finite_at_zero(function):
    x = torch.tensor([-0.5, 0.0, 1e-8, 0.02, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (x,), atol=1e-6)
