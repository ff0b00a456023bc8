# SPDX-License-Identifier: GPL-3.0-or-later
"""BSDF sampling against its density, the gather pass against sums over the whole light, and indirect light against
radiosity in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
import warp as wp

from likeness.engine.camera import Projection
from likeness.engine.ops.launch import launch
from likeness.engine.render import Renderer
from likeness.engine.scene import Camera, Image, Light, Material, World, colour, scalar
from likeness.engine.shading.gather import SampleCounts, capacity
from likeness.engine.shading.lobes import lobe_weights, read_lobes
from likeness.engine.shading.paths import bsdf_density, bsdf_sampler, no_coat, sample_bsdf
from likeness.engine.shading.samples import SOURCE_ENVIRONMENT
from likeness.engine.shading.shade import Pixels, frame_of, reflected
from likeness.engine.view import View, build_view
from tests.reference.lights import light_samples, world_samples
from tests.reference.principled import Principled, evaluate

from .by_hand import (
    frames_of,
    inside_of_box,
    inside_of_sphere,
    matte,
    plane,
    quad,
    random_rotation,
    scene_of,
    surface_rows,
    tensor,
    unit,
)

MATERIALS = {
    "rough metal": Principled(base_color=np.ones(3), metallic=1.0, roughness=1.0),
    "metal": Principled(base_color=np.ones(3), metallic=1.0, roughness=0.5),
    "plastic": Principled(base_color=np.ones(3), roughness=0.4),
    "matte": Principled(base_color=np.ones(3), specular_level=0.0),
}


@wp.kernel(enable_backward=False)
def _draw_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    random: wp.array(dtype=wp.vec3),
    direction: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    frame = frame_of(pixels, 0)
    direction[i] = sample_bsdf(
        bsdf_sampler(read_lobes(lobe_rows, 0), frame, no_coat()), random[i][0], random[i][1], random[i][2]
    )


@wp.kernel(enable_backward=False)
def _density_kernel(
    start: int,
    slot: int,
    lobe_rows: wp.array2d(dtype=wp.float32),
    pixels: Pixels,
    direction: wp.array(dtype=wp.vec3),
    density: wp.array(dtype=wp.float32),
    value: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    lobes = read_lobes(lobe_rows, 0)
    frame = frame_of(pixels, 0)
    density[i] = bsdf_density(bsdf_sampler(lobes, frame, no_coat()), direction[i])
    value[i] = reflected(lobes, frame, direction[i])


class Surface:
    """One shading point with its kernels."""

    def __init__(self, material: Principled, cosine: float) -> None:
        turn = random_rotation(41)
        self.normal = turn[2]
        self.view = cosine * turn[2] + np.sqrt(1 - cosine**2) * turn[0]
        self._normal = tensor(self.normal[None])
        self._frames = frames_of(self.normal[None], self.view[None])
        rows = tensor(surface_rows(material, 1))
        self._lobes = lobe_weights(rows, self._normal, self._frames.geometric, self._frames.view)

    def _inputs(self) -> list:
        return [wp.from_torch(self._lobes), self._frames.arrays(self._normal)]

    def draw(self, count: int) -> np.ndarray:
        """Random directions [count, 3]."""
        random, out = torch.rand(count, 3, generator=torch.Generator().manual_seed(3)), torch.zeros(count, 3)
        arrays = [wp.from_torch(x, dtype=wp.vec3) for x in (random, out)]
        launch(_draw_kernel, count, [*self._inputs(), *arrays], "cpu")
        return out.double().numpy()

    def at(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Density [N] and f cos [N, 3]."""
        d, density, value = tensor(directions), torch.zeros(len(directions)), torch.zeros(len(directions), 3)
        inputs = [wp.from_torch(d, dtype=wp.vec3), wp.from_torch(density), wp.from_torch(value, dtype=wp.vec3)]
        launch(_density_kernel, len(directions), [*self._inputs(), *inputs], "cpu")
        return density.double().numpy(), value.double().numpy()


@pytest.mark.parametrize("cosine", [0.25, 0.9])
@pytest.mark.parametrize("name", MATERIALS)
def test_sampled_directions_follow_the_density(name: str, cosine: float) -> None:
    """Chi-square over cells of the sphere; the expectation of a cell is the mean over a fine grid within it."""
    surface, count = Surface(MATERIALS[name], cosine), 200_000
    rows, columns, fine = 16, 24, 16
    z = (np.arange(rows * fine) + 0.5) / (rows * fine) * 2 - 1
    phi = (np.arange(columns * fine) + 0.5) / (columns * fine) * 2 * np.pi
    z, phi = np.meshgrid(z, phi, indexing="ij")
    r = np.sqrt(1 - z * z)
    density, _ = surface.at(np.stack([r * np.cos(phi), r * np.sin(phi), z], axis=-1).reshape(-1, 3))
    cells = density.reshape(rows, fine, columns, fine).mean((1, 3)) * 4 * np.pi / (rows * columns)
    assert cells.sum() == pytest.approx(1.0, abs=2e-3)

    found = surface.draw(count)
    row = np.clip(((found[:, 2] + 1) / 2 * rows).astype(int), 0, rows - 1)
    column = (np.arctan2(found[:, 1], found[:, 0]) % (2 * np.pi) / (2 * np.pi) * columns).astype(int) % columns
    observed = np.bincount(row * columns + column, minlength=rows * columns).astype(float)
    expected = cells.ravel() / cells.sum() * count
    common = expected > 20
    observed = np.append(observed[common], observed[~common].sum())
    expected = np.append(expected[common], expected[~common].sum())
    assert scipy.stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4


@pytest.mark.parametrize("cosine", [0.15, 0.5, 1.0])
@pytest.mark.parametrize("name", MATERIALS)
def test_white_furnace(name: str, cosine: float) -> None:
    """Under uniform light a white surface returns no more than it gets; metal and matte exactly that.

    The energy tables are exact to 4e-4 at their nodes and linear between, which is worth up to a hundredth on a
    strongly curved albedo; statistics to a few thousandths.
    """
    surface = Surface(MATERIALS[name], cosine)
    directions = surface.draw(200_000)
    density, value = surface.at(directions)
    energy = np.where(density > 0, value[:, 1] / density, 0.0)
    error = energy.std() / np.sqrt(len(energy))
    assert error < 5e-3
    assert energy.mean() <= 1.01 + 4 * error
    if name != "plastic":
        assert energy.mean() == pytest.approx(1.0, abs=0.01 + 4 * error)


# --- the gather pass ------------------------------------------------------------------------------------------------

SIZE = 8
GLOSSY = Principled(base_color=np.array([0.7, 0.5, 0.3]), metallic=0.5, roughness=0.35)


def _glossy() -> Material:
    return Material("Glossy", colour(*GLOSSY.base_color), scalar(GLOSSY.metallic), scalar(GLOSSY.roughness))


def _slanted() -> Camera:
    """A perspective camera that sees the plane at an angle."""
    place = np.array([0.0, -2.5, 1.5])
    z = unit(place)
    x = np.array([1.0, 0.0, 0.0])
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    matrix[:3, 3] = place
    return Camera("Camera", matrix, lens=70.0)


def _pixels(renderer: Renderer, camera: str = "Camera", size: int = SIZE) -> View:
    return build_view(renderer.corners, Projection.of(renderer.scene.cameras[camera], size, size), margin=0)


def _direct(renderer: Renderer, counts: SampleCounts, seeds: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds of each pixel's radiance [P, 3], and its standard error."""
    view = _pixels(renderer)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    world = renderer.world()
    pictures = []
    for seed in range(seeds):
        view.samples = None
        renderer.gather(view, surfaces, world, counts, 1000 + 7 * seed)
        assert int(view.samples.count.max()) <= capacity(renderer.lights, counts)
        pictures.append(renderer.radiance(view, surfaces, renderer.light_color, renderer.environment).numpy())
    stack = np.array(pictures, np.float64)
    return stack.mean(0), stack.std(0) / np.sqrt(seeds)


def _expected(
    renderer: Renderer, samples: list[tuple[np.ndarray, np.ndarray]] | None, light: Light | None
) -> np.ndarray:
    """The same pixels by the slow reference: a sum over the whole light or environment."""
    view = _pixels(renderer)
    out = np.zeros((len(view.position), 3))
    for i, (position, towards_viewer) in enumerate(zip(view.position.numpy(), view.frames.view.numpy(), strict=True)):
        directions, weights = light_samples(light, position, 1 << 11) if light is not None else samples[0]
        normal = np.broadcast_to([0.0, 0.0, 1.0], directions.shape)
        viewed = np.broadcast_to(towards_viewer.astype(np.float64), directions.shape)
        up = directions[:, 2] > 0
        out[i] = (evaluate(GLOSSY, normal[up], viewed[up], directions[up]) * weights[up]).sum(0)
    return out


STRATEGIES = {
    "lights": SampleCounts(light=8, environment=8, bsdf=0, bounces=0),
    "bsdf": SampleCounts(light=0, environment=0, bsdf=16, bounces=0),
    "both": SampleCounts(light=4, environment=4, bsdf=8, bounces=0),
}


def _assert_unbiased(found: tuple[np.ndarray, np.ndarray], expected: np.ndarray) -> None:
    """The picture's mean to a hundredth or five standard errors, and single pixels without outliers."""
    mean, error = found
    total = np.sqrt((error**2).sum()) / error.size
    assert total < 0.02 * expected.mean()
    assert abs(mean.mean() - expected.mean()) < 5 * total + 2e-3 * expected.mean()
    assert np.abs(mean - expected).mean() < 3 * error.mean() + 5e-3 * expected.mean()


LIGHTS = {
    "rectangle": {"kind": "AREA", "area_size": (1.2, 0.8)},
    "disk with spread": {"kind": "AREA", "area_size": (1.4, 1.4), "area_shape": "ELLIPSE", "spread": 2.2},
    "soft point": {"kind": "POINT", "radius": 0.5},
    "sphere": {"kind": "POINT", "radius": 0.5, "soft_falloff": False},
    "wide sun": {"kind": "SUN", "angle": 0.6},
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", LIGHTS)
def test_direct_light_is_unbiased_by_every_strategy(name: str, strategy: str) -> None:
    matrix = np.eye(4)
    z = unit(np.array([0.2, 0.9, 1.2]))  # opposite to the camera, so that its reflection is seen
    x = unit(np.cross([0.0, 1.0, 0.0], z))
    matrix[:3, :3] = np.stack([x, np.cross(z, x), z], axis=1)
    matrix[:3, 3] = (0.3, 1.6, 1.6)
    light = Light("Light", "Light", matrix=matrix, energy=20.0, color=np.array([1.0, 0.8, 0.5]), **LIGHTS[name])
    scene = scene_of([plane(20.0, material="Glossy")], [_glossy()], [light], cameras={"Camera": _slanted()})
    renderer = Renderer(scene, "cpu")
    _assert_unbiased(_direct(renderer, STRATEGIES[strategy], 32), _expected(renderer, None, light))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_environment_is_unbiased_by_every_strategy(strategy: str) -> None:
    rng = np.random.default_rng(9)
    pixels = rng.uniform(0.2, 1.0, (8, 16, 4)).astype(np.float32)
    pixels[6, 4, :3] = (12.0, 9.0, 6.0)  # +Y, 40 degrees up: in the mirror direction
    world = World(strength=0.7, image="Sky")
    scene = scene_of(
        [plane(20.0, material="Glossy")], [_glossy()], cameras={"Camera": _slanted()}, world=world,
        images={"Sky": Image("Sky", pixels)},
    )  # fmt: skip
    renderer = Renderer(scene, "cpu")
    samples = [world_samples(pixels[..., :3] * 0.7, rows=48)]
    _assert_unbiased(_direct(renderer, STRATEGIES[strategy], 40), _expected(renderer, samples, None))


def test_shadow() -> None:
    """A wall between lamp and floor; and a lamp that casts no shadows shines through it."""
    lamp = Light("Lamp", "Lamp", "POINT", np.eye(4), 100.0, np.ones(3))
    lamp.matrix[:3, 3] = (0.0, 0.0, 3.0)
    meshes = [plane(4.0), plane(1.0, z=1.5, name="Lid")]
    for shadow, expected in ((True, 0.0), (False, 100 / (4 * np.pi * 9) / np.pi * 0.5)):
        lamp.cast_shadow = shadow
        below = Camera("Camera", _slanted().matrix, lens=300.0)
        renderer = Renderer(scene_of(meshes, [matte(0.5)], [lamp], cameras={"Camera": below}), "cpu")
        view = _pixels(renderer)
        centre = int(np.abs(view.position.numpy()[:, :2]).sum(1).argmin())
        mean, _ = _direct(renderer, SampleCounts(4, 0, 0, 0), 1)
        assert mean[centre, 0] == pytest.approx(expected, rel=2e-2)


def test_samples_may_hold_the_radiance_of_a_fixed_environment() -> None:
    sky = np.random.default_rng(3).uniform(0.0, 2.0, (8, 16, 4)).astype(np.float32)
    renderer = Renderer(
        scene_of(
            [plane(4.0), plane(1.0, z=0.5, name="Lid")], [matte(0.5)], cameras={"Camera": _slanted()},
            world=World(image="Sky"), images={"Sky": Image("Sky", sky)},
        ),
        "cpu",
    )  # fmt: skip
    view = _pixels(renderer)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    pictures = []
    for fixed in (False, True):
        renderer.gather(view, surfaces, renderer.world(environment_fixed=fixed), SampleCounts(0, 4, 4, 1), 9)
        looked_up = bool((view.samples.source[:, 0] == int(SOURCE_ENVIRONMENT)).any())
        assert looked_up != fixed
        pictures.append(renderer.radiance(view, surfaces, renderer.light_color, renderer.environment).numpy())
    assert pictures[0].max() > 0.1
    assert pictures[1] == pytest.approx(pictures[0], rel=1e-5, abs=1e-6)


def _closed(meshes: list, material: Material, lights: list[Light], place: tuple[float, float, float]) -> Renderer:
    matrix = np.eye(4)
    matrix[:3, 3] = place
    camera = Camera("Camera", matrix, lens=18.0)
    return Renderer(scene_of(meshes, [material], lights, cameras={"Camera": camera}), "cpu")


def _inside(renderer: Renderer, counts: SampleCounts) -> np.ndarray:
    view = _pixels(renderer)
    surfaces = renderer.bank.surfaces(view, renderer.corners)
    assert len(view.face) == SIZE * SIZE
    renderer.gather(view, surfaces, renderer.world(), counts, 5)
    return renderer.radiance(view, surfaces, renderer.light_color, renderer.environment).double().numpy()


@pytest.mark.parametrize("bounces", [0, 1, 2])
def test_glowing_box(bounces: int) -> None:
    """Closed box of albedo r and emission e: every further reflection adds e r^k. As in Cycles, what glows is a light:
    it shines on surfaces also where these do not light each other."""
    albedo, emission = 0.6, 0.5
    renderer = _closed([inside_of_box(1.0, "Matte")], matte(albedo, emission), [], (0.2, -0.1, 0.4))
    found = _inside(renderer, SampleCounts(0, 0, 64, bounces))
    expected = emission * sum(albedo**k for k in range(bounces + 2))
    assert found.mean() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("bounces", [1, 2])
@pytest.mark.parametrize("radius", [0.0, 0.2])
def test_lamp_in_a_sphere(radius: float, bounces: int) -> None:
    """Every point of a Lambert sphere sees every other with the same form factor: reflected light is uniform."""
    albedo, size = 0.5, 2.0
    lamp = Light("Lamp", "Lamp", "POINT", np.eye(4), 60.0, np.ones(3), radius=radius, soft_falloff=False)
    renderer = _closed([inside_of_sphere(size, "Matte")], matte(albedo), [lamp], (0.0, 0.0, 0.9))
    found = _inside(renderer, SampleCounts(32, 0, 32, bounces))
    once = albedo * 60.0 / (4 * np.pi * size**2) / np.pi
    expected = once * sum(albedo**k for k in range(bounces + 1))
    assert found.mean() == pytest.approx(expected, rel=1e-2)


def test_furnace() -> None:
    """White matte walls that stand open under a uniform sky are as bright as the sky, however often light is reflected
    (here: an upper bound that is nearly met, as the number of reflections is cut)."""
    walls = [
        plane(4.0),
        quad("Wall", np.array([(-1, 1, 0), (1, 1, 0), (1, 1, 2), (-1, 1, 2)], np.float64), "Matte"),
    ]
    renderer = Renderer(scene_of(walls, [matte(1.0)], world=World(color=np.full(3, 0.8, np.float32))), "cpu")
    direct = _inside(renderer, SampleCounts(0, 0, 64, 0)).mean()
    once = _inside(renderer, SampleCounts(0, 0, 64, 1)).mean()
    often = _inside(renderer, SampleCounts(0, 0, 64, 4)).mean()
    assert direct < once < often
    assert often == pytest.approx(0.8, rel=1e-2)


def test_same_seed_same_samples() -> None:
    renderer = _closed([inside_of_box(1.0, "Matte")], matte(0.6, 0.5), [], (0.2, -0.1, 0.4))
    counts = SampleCounts(4, 0, 4, 1)
    assert np.array_equal(_inside(renderer, counts), _inside(renderer, counts))


def test_indirect_light_of_one_sample_is_bounded() -> None:
    """A glaring surface somewhere in the room must not leave fireflies."""
    renderer = _closed([inside_of_box(1.0, "Matte")], matte(0.6, 1e4), [], (0.2, -0.1, 0.4))
    found = _inside(renderer, SampleCounts(0, 0, 16, 1, clamp=20.0)) - _inside(renderer, SampleCounts(0, 0, 16, 0))
    # the BSDF sampler spends up to a fifth of its samples on the specular lobe that this surface does not have
    assert 1.0 < found.max() <= 20.0 * 0.6 / 0.8 * 1.01


def test_scene_without_anything_that_shines() -> None:
    renderer = Renderer(scene_of([plane()], [matte(0.5)]), "cpu")
    assert np.array_equal(_inside(renderer, SampleCounts()), np.zeros((SIZE * SIZE, 3)))
