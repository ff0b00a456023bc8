# SPDX-License-Identifier: GPL-3.0-or-later
"""Scene -> image: one renderer for pictures and for the fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import warp as wp

from .camera import Projection
from .errors import EngineMissingError, SceneError
from .geometry import build_geometry
from .materials import MaterialBank, Surfaces
from .openings import tracer_of
from .ops.launch import launch
from .rays import Rays
from .scene import Film, Scene
from .shading.bsdf import device_tables
from .shading.cache_building import radiance_cache, seen_points
from .shading.emitters import EmitterArrays, emitter_arrays
from .shading.environment import environment_arrays, lookup
from .shading.gather import SampleCounts, capacity, gather
from .shading.grain import SPECULAR, grained, sampled_with_grain, shade_grain, without_grain
from .shading.layers import BELOW, COAT, LAYER_WIDTH, SHEEN, layer_rows, sampled_as, seen_below, shade_layers
from .shading.light_visibility import parts_of, seen_lights, take_part
from .shading.lights import DIFFUSE_ONLY, FAR, GLOSSY_ONLY, NO_LOBES, light_arrays, light_colors
from .shading.live_texels import is_worth_it
from .shading.lobes import lobe_weights
from .shading.paths import World
from .shading.rough_diffuse import rough_rows, shade_rough, without_diffuse
from .shading.samples import Samples
from .shading.shade import PixelFrames, shade
from .view import DeviceGeometry, View, apply_filter, build_view, cell_rays, filter_reach, filter_weights

# Cells that are rendered at a time: bounds memory at about 28 bytes times the samples of a pixel each.
CELLS_AT_ONCE = 300_000
# Columns of lobe rows and of layer rows to blank for lights that only a part of the lobes reflects.
LOBES_OF = {int(DIFFUSE_ONLY): [SPECULAR], int(GLOSSY_ONLY): [slice(0, 3)]}
LAYERS_OF = {int(DIFFUSE_ONLY): [COAT], int(GLOSSY_ONLY): [SHEEN]}
# Paths that tell a picture of light that is reflected more than once.
CACHE_PATHS = 16384


def resolve_device(wanted: str) -> str:
    """ "auto", "cpu" or "cuda" -> a device name. Raises EngineMissingError when CUDA is asked for and absent."""
    available = torch.cuda.is_available() and wp.is_cuda_available()
    if wanted == "auto":
        return "cuda:0" if available else "cpu"
    if wanted.startswith("cuda") and not available:
        raise EngineMissingError(
            "No CUDA device can be used (driver or CUDA build of torch missing); choose --device cpu or auto"
        )
    return "cuda:0" if wanted == "cuda" else wanted


@wp.kernel(enable_backward=False)
def _background_kernel(
    start: int,
    slot: int,
    image: wp.array2d(dtype=wp.vec3),
    rotation: wp.mat33,
    direction: wp.array(dtype=wp.vec3),
    out: wp.array(dtype=wp.vec3),
):
    i = start + wp.tid()
    out[i] = lookup(image, rotation, direction[i])


class Renderer:
    """A scene on a device. `bank`, `light_color` and `environment` may be changed between renders; geometry stays."""

    def __init__(self, scene: Scene, device: str) -> None:
        """Raises SceneError when the scene cannot be rendered."""
        self.scene = scene
        self.device = device
        self.geometry = build_geometry(scene, device)
        self.bank = MaterialBank.of(scene, self.geometry)
        bump = np.array([material.bump_correction for material in self.bank.materials], np.float32)
        self.corners = DeviceGeometry(self.geometry, bump)
        self.geometry.rays = tracer_of(self.geometry, self.corners, self.bank, scene.film)
        self.lights = light_arrays(scene.lights, device)
        self.light_color = light_colors(scene.lights, device)
        self.environment = world_image(scene, device)
        self.rotation = wp.mat33(*[float(x) for x in np.asarray(scene.world.rotation).reshape(-1)])

    def world(self, environment_fixed: bool = False) -> World:
        """The scene as rays see it at this moment.

        `environment_fixed`: the samples gathered with it are thrown away before the environment changes, and may hold
        its radiance, which makes shading a quarter faster. It has no gradient then.
        """
        world = World()
        world.geometry = self.geometry.arrays
        world.materials = self.bank.table()
        world.lights = self.lights
        world.light_color = wp.from_torch(self.light_color.detach().contiguous(), dtype=wp.vec3)
        rotation = torch.from_numpy(np.asarray(self.scene.world.rotation, np.float32))
        world.environment = environment_arrays(self.environment, rotation)
        world.environment.fixed = int(environment_fixed)
        world.tables = device_tables(self.device)
        world.emitters = self._emitters(world)
        return world

    def _emitters(self, world: World) -> EmitterArrays:
        glowing = np.zeros(len(self.bank.materials), bool)
        if world.materials.glowing:
            glowing = world.materials.constants.numpy()[:, 10:13].max(1) > 0
        return emitter_arrays(self.geometry.arrays, world.materials, self.geometry.material, glowing)

    def remember_light(self, world: World, projections: Sequence[Projection], paths: int, seed: int) -> None:
        """Give `world` a radiance cache for the reflections that samples do not follow, made by about `paths` paths
        that begin where the cameras of `projections` look; none where the scene wants no more than one reflection."""
        if self.scene.film.bounces < 2:
            return
        with torch.no_grad():
            points, rays = seen_points(self.geometry.rays, projections, paths, self.device)
            if len(rays):
                world.cache = radiance_cache(world, self.geometry.rays, points, rays, self.scene.film.bounces, seed)

    def fitting_counts(self, counts: SampleCounts, world: World) -> SampleCounts:
        """`counts` without samples that this scene has no use for: a world of one colour needs no sampling table."""
        if self.environment.shape[0] * self.environment.shape[1] == 1:
            counts = replace(counts, environment=0)
        if world.emitters.count == 0:
            counts = replace(counts, emitter=0)
        return replace(counts, bounces=min(counts.bounces, self.scene.film.bounces))

    def gather(self, view: View, surfaces: Surfaces, world: World, counts: SampleCounts, seed: int) -> None:
        """(Re)draw the light samples of a view."""
        counts = self.fitting_counts(counts, world)
        pixels = len(view.face)
        most = capacity(self.lights, counts)
        if view.samples is None or view.samples.direction.shape[1] != most:
            view.samples = Samples.empty(pixels, most, self.device)
        if pixels == 0:
            return
        normal = surfaces.normal.detach().contiguous()
        lobes = self._lobes(view, surfaces, surfaces.parameters.detach(), normal)
        if surfaces.grain is not None:
            lobes = sampled_with_grain(lobes, surfaces.grain)
        layers = torch.zeros((0, LAYER_WIDTH), device=self.device)
        if surfaces.layers is not None:
            layers = layer_rows(surfaces.layers, normal, view.frames)
            lobes = sampled_as(lobes, layers)
        tracer, hits = self.geometry.rays, view.hits()
        gather(world, tracer, hits, view.frames, normal, lobes, layers, counts, seed, view.samples)
        view.live = self.bank.live_textures(world.materials) if world.materials.lively else []
        view.live_needed = bool(view.live) and is_worth_it(view.samples, self.light_color, self.environment)
        view.parts = {part: take_part(view.samples, self.lights, part) for part in parts_of(self.lights)}

    def radiance(
        self, view: View, surfaces: Surfaces, light_color: torch.Tensor, environment: torch.Tensor
    ) -> torch.Tensor:
        """Radiance [P, 3] of the covered cells from the stored samples; differentiable."""
        if len(view.face) == 0:
            return torch.zeros((0, 3), device=self.device)
        assert view.samples is not None, "gather first"
        lobes = self._lobes(view, surfaces, surfaces.parameters, surfaces.normal)
        light_color = torch.cat([light_color, *self._gains(view)])
        light = surfaces.normal, light_color, environment, view.frames
        emission, layers = surfaces.emission, None
        if surfaces.layers is not None:
            layers = layer_rows(surfaces.layers, surfaces.normal, view.frames)
            lobes, emission = seen_below(lobes, layers), emission * layers[:, BELOW]
        radiance = _shaded(lobes, layers, surfaces, *light, view.samples) + emission
        for part, samples in view.parts.items():
            if part != NO_LOBES:
                of_lobes, of_layers = lobes * _kept(LOBES_OF, part, lobes), layers
                if layers is not None:
                    of_layers = layers * _kept(LAYERS_OF, part, layers)
                radiance = radiance + _shaded(of_lobes, of_layers, surfaces, *light, samples)
        return radiance

    def _gains(self, view: View) -> list[torch.Tensor]:
        """Of the fitted texels that a view's samples come from, see live_texels.py."""
        if view.live_needed:
            return [texture.gains(self.bank.bundles[texture.bundle].data) for texture in view.live]
        return [torch.ones_like(texture.before).reshape(-1, 3) for texture in view.live]

    def _lobes(self, view: View, surfaces: Surfaces, parameters: torch.Tensor, normal: torch.Tensor) -> torch.Tensor:
        if surfaces.grain is not None:
            parameters = grained(parameters, surfaces.grain)
        return lobe_weights(parameters, normal, view.frames.geometric, view.frames.view)

    def background(self, view: View) -> torch.Tensor:
        """Radiance [B, 3] of the world behind the uncovered cells (not differentiated)."""
        out = torch.zeros((len(view.background), 3), device=self.device)
        inputs = [
            wp.from_torch(self.environment.detach().contiguous(), dtype=wp.vec3),
            self.rotation,
            wp.from_torch(view.background_direction.contiguous(), dtype=wp.vec3),
            wp.from_torch(out, dtype=wp.vec3),
        ]
        launch(_background_kernel, len(out), inputs, self.device)
        return out

    def seen_lights(self, view: View, rays: Rays) -> torch.Tensor | None:
        """How much of the power of each light [cells, L] the camera sees in all cells of a view, whose rays are given;
        None where it sees none of them."""
        seen = [number for number, light in enumerate(self.scene.lights) if light.visible_camera]
        if not seen:
            return None
        rays.t_max.fill_(FAR)
        distance = (view.position - rays.origin[view.cell]).norm(dim=1)
        rays.t_max.scatter_reduce_(0, view.cell, distance, "amin")
        coefficients = torch.zeros((len(rays.t_max), len(self.scene.lights)), device=self.device)
        coefficients[:, seen] = seen_lights(self.lights, seen, rays)
        return coefficients if bool(coefficients.any()) else None

    def cells(self, view: View, covered: torch.Tensor, transparent: bool) -> torch.Tensor:
        """Covered radiance and background put together: [H, W, 4] with premultiplied alpha."""
        if view.weight is None:
            image = view.composite(F_pad_alpha(covered), None if transparent else F_pad_alpha(self.background(view)))
        else:
            behind = self.background(view)
            if transparent and view.background_bent is not None:  # of the world it shows what is seen through glass
                behind = behind * view.background_bent[:, None]
            image = torch.cat([view.composite(covered, behind), view.alpha(transparent)], dim=-1)
        if view.seen_lights is not None:
            image[..., :3] += (view.seen_lights @ self.light_color).reshape(view.height, view.width, 3)
        return image


def _shaded(
    lobes: torch.Tensor,
    layers: torch.Tensor | None,
    surfaces: Surfaces,
    normal: torch.Tensor,
    light_color: torch.Tensor,
    environment: torch.Tensor,
    frames: PixelFrames,
    samples: Samples,
) -> torch.Tensor:
    """Radiance [P, 3] that base and layers reflect of the light of `samples`."""
    light = normal, light_color, environment, frames, samples
    radiance, grain = torch.zeros((), device=normal.device), surfaces.grain
    if surfaces.rough is not None:
        rough = rough_rows(lobes, surfaces.parameters[:, :3], surfaces.rough, normal, frames)
        radiance, lobes = shade_rough(rough, *light), without_diffuse(lobes)
    if grain is not None:
        radiance, lobes = radiance + shade_grain(lobes, *light, grain), without_grain(lobes, grain)
    radiance = radiance + shade(lobes, *light)
    return radiance if layers is None else radiance + shade_layers(layers, *light)


def _kept(columns: dict[int, list[slice]], part: int, like: torch.Tensor) -> torch.Tensor:
    """A row of ones with zeros where a part of the lobes has no share, see `columns`."""
    row = torch.ones(like.shape[1], device=like.device)
    for column in columns[part]:
        row[column] = 0.0
    return row


def F_pad_alpha(rgb: torch.Tensor) -> torch.Tensor:
    """RGB rows with an alpha of 1."""
    return torch.nn.functional.pad(rgb, (0, 1), value=1.0)


def world_image(scene: Scene, device: str) -> torch.Tensor:
    """Radiance of the world as an equirectangular image [H, W, 3], strength included; one texel for a plain colour."""
    world = scene.world
    if world.image is None:
        pixels = np.asarray(world.color, np.float32).reshape(1, 1, 3)
    else:
        pixels = np.asarray(scene.images[world.image].pixels[..., :3], np.float32)
        if scene.images[world.image].encoding == "sRGB":
            from .color.srgb import srgb_decode

            pixels = srgb_decode(pixels)
    return torch.from_numpy(np.ascontiguousarray(pixels * np.float32(world.strength), dtype=np.float32)).to(device)


def _projection(scene: Scene, camera: str, width: int, height: int) -> Projection:
    if camera not in scene.cameras:
        names = ", ".join(f'"{name}"' for name in scene.cameras) or "none"
        raise SceneError(f'There is no camera "{camera}" in the scene; cameras here: {names}')
    straight = replace(scene.cameras[camera], distortion=None)  # Blender's lenses do not distort
    return Projection.of(straight, width, height, scene.film.pixel_aspect)


def render(
    scene: Scene,
    camera: str,
    width: int,
    height: int,
    samples: int = 64,
    direct_only: bool = False,
    device: str = "cpu",
    seed: int = 0,
) -> np.ndarray:
    """Render a scene as Cycles would (with `direct_only`: without reflections between surfaces).

    `samples` is the number of samples of each kind (each light with a size, environment, BSDF) a pixel gets; they are
    spread over up to 4 x 4 sub-pixels. Returns [height, width, 4] float32, scene-linear with premultiplied alpha, row 0
    at the bottom. Raises SceneError for an unknown camera or nothing to render.
    """
    projection = _projection(scene, camera, width, height)
    renderer = Renderer(scene, resolve_device(device))
    return render_with(renderer, projection, scene.film, samples, direct_only, seed).cpu().numpy()


def render_with(
    renderer: Renderer, projection: Projection, film: Film, samples: int, direct_only: bool, seed: int
) -> torch.Tensor:
    """The image [H, W, 4] of a prepared renderer, see `render`."""
    grid = max(1, min(4, int(samples**0.5)))
    each = max(1, round(samples / grid**2))
    counts = SampleCounts(each, each, each, 0 if direct_only else SampleCounts.bounces, emitter=each)
    margin = filter_reach(film)
    weights = filter_weights(film, grid, 0.0).to(renderer.device)
    world = renderer.world(environment_fixed=True)
    if not direct_only:
        renderer.remember_light(world, [projection], CACHE_PATHS, seed)
    band = max(1, CELLS_AT_ONCE // ((projection.width + 2 * margin) * grid * grid) - 2 * margin)
    rows = []
    with torch.no_grad():
        for first in range(0, projection.height, band):
            last = min(first + band, projection.height)
            view = build_view(renderer.corners, projection, margin=margin, grid=grid, rows=(first, last))
            surfaces = renderer.bank.surfaces(view, renderer.corners)
            renderer.gather(view, surfaces, world, counts, seed * 1_000_003 + first)
            if any(light.visible_camera for light in renderer.scene.lights):
                places = cell_rays(projection, renderer.device, margin=margin, grid=grid, rows=(first, last))
                view.seen_lights = renderer.seen_lights(view, places)
            covered = renderer.radiance(view, surfaces, renderer.light_color, renderer.environment)
            cells = renderer.cells(view, covered, film.transparent)
            rows.append(apply_filter(cells, weights, weights, grid))
    return torch.cat(rows) * torch.tensor([film.exposure] * 3 + [1.0], device=renderer.device)
