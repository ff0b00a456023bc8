# SPDX-License-Identifier: GPL-3.0-or-later
"""From the state of a fit to its result: images, lights, world, pictures before and after, coverage."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from .ops.blender_texture import sample_texture
from .parameters import push_pull, resize
from .photo_masks import photo_projection
from .photos import psnr
from .render import Renderer, render_with, world_image
from .result import FitResult, FittedImage, FittedLight, FittedWorld, PhotoResult
from .view import build_view

if TYPE_CHECKING:
    from .fit import FitRun

COVERAGE_SIDE = 256
# What each target is stored as: 8 bits band on roughness gradients and normals.
STORED: dict[str, tuple[Literal["sRGB", "linear"], Literal[8, 16, 32]]] = {
    "base_color": ("sRGB", 8),
    "roughness": ("linear", 16),
    "metallic": ("linear", 16),
    "normal": ("linear", 16),
    "emission": ("linear", 32),
}


def coverage_weights(run: FitRun) -> dict[int, torch.Tensor]:
    """For each bundle how well its texels are seen: sum over photos of cosine times pixels, [side, side]."""
    renderer = run.renderer
    side = min(COVERAGE_SIDE, run.settings.texture_size)
    weights = {i: torch.zeros(side, side, device=run.device) for i in range(len(run.parameters.bundles))}
    for photo in run.photos:
        level = photo.level(0)
        inside = level.weight > 0
        view = build_view(renderer.corners, level.projection, margin=0, wanted=inside)
        cosine = (view.frames.geometric * view.frames.view).sum(1, keepdim=True).clamp(min=0)
        for i, bundle, part in renderer.bank.parts_of(view):
            uv = renderer.bank.texture_uv(bundle.texture, view, renderer.corners, part)
            with torch.enable_grad():
                # The gradient of a lookup is the splat of its weights.
                blank = torch.zeros(side, side, 1, device=run.device, requires_grad=True)
                splat = (sample_texture(blank, uv, bundle.texture.extension, "Linear") * cosine[part]).sum()
            weights[i] += torch.autograd.grad(splat, blank)[0][..., 0]
    return weights


def build_result(run: FitRun, cancelled: bool) -> FitResult:
    """Everything that the bridge writes and the report shows. A cancelled fit gets quick pictures."""
    began = time.monotonic()
    result = FitResult(
        history=run.history, warnings=run.warnings, iterations=run.cameras.steps + run.iteration, cancelled=cancelled
    )
    with torch.no_grad():
        coverage = coverage_weights(run)
        result.images = _images(run, coverage)
        result.coverage = {
            bundle.material: coverage[i].cpu().numpy() for i, bundle in enumerate(run.parameters.bundles)
        }
        result.lights = _lights(run)
        result.world = _world(run)
        result.cameras = list(run.cameras.found)
        _exposure(run, result)
        _pictures(run, result, samples=1 if cancelled else 9)
    result.gauge = _gauge_text(run)
    if run.cycles is not None:
        result.cycles = run.cycles.summary()
    result.seconds = {**run.seconds, "pictures": time.monotonic() - began}
    return result


@torch.no_grad()
def written_so_far(run: FitRun) -> FitResult:
    """What the bridge needs to show the present state of a fit: no pictures, no coverage."""
    cameras = [replace(one, free=[kind for kind in one.free if kind != "distortion"]) for one in run.cameras.found]
    return FitResult(
        images=_images(run, coverage_weights(run)), lights=_lights(run), cameras=cameras, world=_world(run)
    )


def _images(run: FitRun, coverage: dict[int, torch.Tensor]) -> list[FittedImage]:
    images = []
    size = run.settings.texture_size
    for i, bundle in enumerate(run.parameters.bundles):
        data = bundle.data.detach()
        data = push_pull(data, resize(coverage[i][..., None], *data.shape[:2]))
        data = resize(data, size, size)
        for target, (first, last) in bundle.channels.items():
            encoding, bits = STORED[target]
            pixels = data[..., first:last].cpu().numpy().copy()
            images.append(FittedImage(bundle.material, target, pixels, encoding, bits))
    return images


def _lights(run: FitRun) -> list[FittedLight]:
    lights = []
    colors = run.parameters.light_color().detach().cpu().numpy()
    for row, name in enumerate(run.parameters.light_names):
        index = int(torch.nonzero(run.parameters.light_rows == row)[0, 0])
        light = run.scene.lights[index]
        own = colors[index] / np.maximum(np.asarray(light.multiplier), 1e-12)
        energy = float(own.max())
        lights.append(FittedLight(name, energy, (own / max(energy, 1e-20)).astype(np.float32)))
    return lights


def _world(run: FitRun) -> FittedWorld | None:
    world = run.scene.world
    if "world" in run.chosen:
        pixels = run.parameters.environment().detach().cpu().numpy()
        return FittedWorld(1.0, pixels.mean((0, 1)).astype(np.float32), pixels)
    if "world_strength" in run.chosen:
        fitted = run.parameters.environment().detach().mean()
        start = world_image(run.scene, run.device).mean()
        if float(start) <= 0:  # nothing to scale in a black world
            return FittedWorld(float(fitted), np.ones(3, np.float32), None)
        return FittedWorld(world.strength * float(fitted / start), np.asarray(world.color, np.float32), None)
    return None


def _exposure(run: FitRun, result: FitResult) -> None:
    """The mean of the fitted exposures belongs to the scene, what is left to the photos."""
    if "exposure" not in run.chosen:
        return
    result.exposure = run.scene.view.exposure + _shared_exposure(run)


def _shared_exposure(run: FitRun) -> float:
    """Stops by which the photos moved together."""
    return float(run.parameters.exposure.detach().mean()) - run.parameters.exposure_mean


def _pictures(run: FitRun, result: FitResult, samples: int) -> None:
    before = Renderer(run.scene, run.device)
    start = run.cameras.start
    after = run.renderer
    after.light_color = run.parameters.light_color().detach()
    after.environment = run.parameters.environment().detach()
    shared = _shared_exposure(run) if result.exposure is not None else 0.0
    for index, photo in enumerate(run.scene.photos):
        level = run.photos[index].level(0)
        projections = (
            photo_projection(
                start,
                photo,
                level.projection.width,
                level.projection.height,
                replace(start.cameras[photo.camera], distortion=None),
            ),
            level.projection,
        )
        gain = run.parameters.photo_gain(index).detach()
        unfitted = 2.0**photo.exposure * torch.from_numpy(np.asarray(photo.white_balance, np.float32)).to(run.device)
        pictures = []
        for renderer, projection, factor in zip((before, after), projections, (unfitted, gain), strict=True):
            linear = render_with(renderer, projection, run.scene.film, samples, False, run.settings.seed)[..., :3]
            if run.cycles is not None:
                linear = run.cycles.corrected(linear, index, at_start=renderer is before)
            pictures.append(run.view_transform(linear * factor).cpu().numpy())
        target = level.target
        if photo.domain == "linear":
            target = run.view_transform(target)
        shown = target.cpu().numpy()
        mask = photo.mask
        balance = (gain / gain[1]).cpu().numpy()
        result.photos.append(
            PhotoResult(
                name=photo.name,
                camera=photo.camera,
                exposure=float(run.parameters.exposure[index]) - shared,
                white_balance=balance.astype(np.float32),
                photo=shown,
                before=pictures[0],
                after=pictures[1],
                mask=mask,
                psnr_before=psnr(pictures[0], shown, mask),
                psnr_after=psnr(pictures[1], shown, mask),
            )
        )


def _gauge_text(run: FitRun) -> str:
    if run.gauge:
        return (
            "Photos alone cannot tell a bright surface in dim light from a dark one in bright light: the power of all "
            "lights together was kept near its start. Set one light or one material that you know to change that."
        )
    if "base_color" not in run.chosen:
        return "No base colour was fitted, so light and exposure are settled by the photos."
    return "Light or material that stayed fixed settles how bright the fitted base colours are."
