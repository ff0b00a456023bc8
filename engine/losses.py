# SPDX-License-Identifier: GPL-3.0-or-later
"""Image loss and priors of the fit."""

from __future__ import annotations

import torch

from .materials import MaterialBank
from .ops.blender_texture import sample_texture
from .parameters import Parameters
from .view import DeviceGeometry, View

# Errors above this (of a range of 1) count linearly: shadows, reflections and people that the scene does not have.
HUBER = 0.1
# Share of a view's pixels on which the material priors are evaluated.
PRIOR_SHARE = 0.4
# Half of the pairs that the material priors compare are neighbours in the texture (standard deviation as a share),
# the others are further apart, in the picture (share of its longer side), where the charts of an atlas do not matter.
NEAR, WIDE = 0.002, 0.03
# Base colours (as stored, 0..1) that differ by this much probably belong to different substances.
SAME_SUBSTANCE = 0.06
# A difference of this much in base colour is an edge that the photos show, and is left alone the more it exceeds it:
# smoothness that pulls at edges blurs them.
EDGE = 0.15
WEIGHTS = {"base_color": 0.03, "roughness": 0.02, "metallic": 0.02, "normal": 0.01, "emission": 0.004}
# A normal map holds relief, not form: its normals are the mesh's on the mean.
FLAT = 0.01
# Substances are metals or they are not; values between are edges, dirt and rust.
EITHER_OR = 0.005
# The gauge: pulls the mean log gain of the lights to zero where nothing else tells light from albedo.
GAUGE = 1e-3
ENVIRONMENT_SMOOTHNESS = 1e-3
# Light is whiter than surfaces (nvdiffrec's regulariser of the environment, Munkberg 2022).
WHITENESS = 0.01


def photo_loss(predicted: torch.Tensor, photo: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Weighted mean Huber difference of two pictures [H, W, 3]; `weight` [H, W] >= 0."""
    difference = torch.nn.functional.huber_loss(predicted, photo, reduction="none", delta=HUBER).mean(-1)
    return (difference * weight).sum() / weight.sum().clamp(min=1e-6)


def material_prior(
    bank: MaterialBank,
    view: View,
    geometry: DeviceGeometry,
    generator: torch.Generator,
    decided: float = 1.0,
) -> torch.Tensor:
    """Smoothness of the fitted textures where this view sees them.

    Each chosen pixel compares its texel with a neighbour (nvdiffrec's jittered lookup, Munkberg 2022) or with what
    another pixel of the material not far away shows. The latter is for roughness and metallic, and only between texels
    of like base colour: a highlight that was seen on a part of a substance tells about all of it, and edges stay where
    the base colour has them.
    `decided` (0 to 1) is how much metallic is drawn to 0 and 1.
    """
    total = torch.zeros((), device=geometry.uvs.device)
    for _, bundle, part in bank.parts_of(view):
        uv = bank.texture_uv(bundle.texture, view, geometry, part)
        count = max(1, int(len(uv) * PRIOR_SHARE))
        chosen = torch.randint(len(uv), (count,), generator=generator).to(uv.device)
        other = _others(view, part, chosen, generator)
        near = (torch.rand(count, generator=generator) < 0.5).to(uv.device)
        compared = near | (other >= 0)
        here = uv[chosen]
        jitter = (torch.randn(count, 2, generator=generator) * NEAR).to(uv)
        there = torch.where(near[:, None], here + jitter, uv[other.clamp(min=0)])
        both = torch.cat([here, there])  # one lookup: each has a gradient of the size of the texture
        values = sample_texture(bundle.data, both, bundle.texture.extension, bundle.texture.interpolation)
        value_here, value_there = values.split(count)
        difference = (value_here - value_there).abs() * compared[:, None]
        alike, no_edge = torch.ones(count, device=uv.device), near.float()
        if "base_color" in bundle.channels:
            first, last = bundle.channels["base_color"]
            apart = difference[:, first:last].detach().square().sum(1)
            alike = torch.exp(-apart / (2 * SAME_SUBSTANCE**2))
            no_edge = near * torch.exp(-apart / (2 * EDGE**2))
        kept = {"roughness": alike, "metallic": alike, "base_color": no_edge}
        for target, (first, last) in bundle.channels.items():
            value = difference[:, first:last].mean(1) * kept.get(target, near)
            total = total + WEIGHTS[target] * value.sum() / count
        if "normal" in bundle.channels:
            tilt = 2.0 * value_here[:, slice(*bundle.channels["normal"])][:, :2] - 1.0
            total = total + FLAT * tilt.square().sum(1).mean()
        if "metallic" in bundle.channels:
            metallic = value_here[:, slice(*bundle.channels["metallic"])]
            total = total + decided * EITHER_OR * (metallic * (1 - metallic)).mean()
    return total


def _others(view: View, part: slice, chosen: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """For each `chosen` pixel of a part of the view another one of that part not far away, -1 where there is none."""
    cells = view.cell[part]
    grid = torch.full((view.height * view.width,), -1, dtype=torch.int64, device=cells.device)
    grid[cells] = torch.arange(len(cells), device=cells.device)
    reach = WIDE * max(view.height, view.width)
    step = (torch.randn(len(chosen), 2, generator=generator) * reach).round().to(cells.device, torch.int64)
    y = torch.div(cells[chosen], view.width, rounding_mode="floor") + step[:, 0]
    x = cells[chosen] % view.width + step[:, 1]
    inside = (y >= 0) & (y < view.height) & (x >= 0) & (x < view.width)
    return torch.where(inside, grid[(y * view.width + x).clamp(0, len(grid) - 1)], -1)


def scene_prior(parameters: Parameters, gauge: bool) -> torch.Tensor:
    """Smooth fitted environments; with `gauge`, light that stays near its start on the whole."""
    total = torch.zeros((), device=parameters.exposure.device)
    log = parameters.environment_log
    if log is not None:
        total = total + ENVIRONMENT_SMOOTHNESS * (
            (log - log.roll(1, 1)).abs().mean() + (log[1:] - log[:-1]).abs().mean()
        )
        if gauge:  # elsewhere the photos tell the colour of the light
            radiance = log.exp()
            colour = (radiance - radiance.mean(-1, keepdim=True)).abs().mean() / radiance.mean()
            cast = radiance.mean((0, 1))
            cast = (cast / cast.mean()).log().square().sum()
            total = total + WHITENESS * (colour + cast)
    if gauge:
        gains = []
        if parameters.light_names:
            gains.append(parameters.light_log.mean())
        if log is not None:
            gains.append((parameters.environment().mean() / parameters.environment_start.mean().clamp(min=1e-6)).log())
        elif parameters.strength_log.requires_grad:
            gains.append(parameters.strength_log.mean())
        for gain in gains:
            total = total + GAUGE * gain.square()
    # Exposures of single photos are differences from the mean: the mean belongs to the scene.
    return total
