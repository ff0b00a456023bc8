# SPDX-License-Identifier: GPL-3.0-or-later
"""Metal or not: both are tried, and each texel starts from the one that explains the photos better.

Descent alone finds this badly. A dielectric whose base colour has taken on the mean colour of a metal is a local
minimum from which the metallic value creeps out only slowly. So the coarse stage is fitted twice, with metallic held
at 0 and at 1, and the residuals of the two are compared where the photos see the texel (a grid search over the
discrete unknown, as others do for roughness and specular).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
import warp as wp

from .materials import TextureBundle
from .ops.blender_texture import sample_texture
from .ops.launch import launch
from .parameters import Parameters, push_pull
from .photo_views import CachedView

if TYPE_CHECKING:
    from .render import Renderer

# Roughness from which the second hypothesis starts: metals are seldom duller.
METAL_ROUGHNESS = 0.4
# Logarithm of the ratio of the residuals: paint is the more likely substance, so metal must explain a texel better by
# the bias; the width says how gradually the verdict changes around it.
BIAS, WIDTH = 0.25, 0.3
# Pictures that are averaged before their residuals are taken.
REPEATS = 6
# Texels that vote on each other: how many, and how far away as a share of the texture (standard deviation).
VOTERS = 600
VOTING_RADIUS = 0.12
# Distance of base colours, as stored and under both hypotheses, at which texels cease to vote on each other.
ALIKE = 0.1
# An object has few substances (Barron and Malik 2015, parsimony of reflectance): colours that the right hypothesis
# recovers come again elsewhere, those of the wrong one depend on the light of the place. How much that counts, texels
# that stand for the object, distance of like colours, share of like texels that counts as none, and rounds.
PARSIMONY = 2.0
PALETTE = 1000
SAME_COLOUR = 0.06
RARE = 0.005
ROUNDS = 5


def applies_to(bundle: TextureBundle) -> bool:
    """Both are needed to tell metal from paint."""
    return "metallic" in bundle.channels and "base_color" in bundle.channels


@torch.no_grad()
def hold(parameters: Parameters, value: float) -> None:
    """Set metallic to `value` everywhere."""
    for bundle in parameters.bundles:
        if applies_to(bundle):
            bundle.data[..., slice(*bundle.channels["metallic"])] = value


@torch.no_grad()
def restart(parameters: Parameters) -> None:
    """Begin the second hypothesis: keep the base colours, forget the roughness."""
    for bundle in parameters.bundles:
        if applies_to(bundle) and "roughness" in bundle.channels:
            bundle.data[..., slice(*bundle.channels["roughness"])] = METAL_ROUGHNESS


class Residuals:
    """Sums, for each texel, the squared error of the pixels that see it."""

    def __init__(self, parameters: Parameters, device: str) -> None:
        self._parameters = parameters
        self._sums = [torch.zeros(*b.data.shape[:2], 2, device=device) for b in parameters.bundles]

    def add(self, renderer: Renderer, cached: CachedView, error: torch.Tensor, weight: torch.Tensor) -> None:
        """`error` [H, W] of the compared picture of a view, `weight` [H, W]."""
        view = cached.view
        margin = (view.height - error.shape[0]) // 2
        value = F.pad(torch.stack([error * weight, weight], dim=-1).permute(2, 0, 1), [margin] * 4)
        value = value.reshape(2, -1).T[view.cell]
        for i, bundle, part in renderer.bank.parts_of(view):
            if not applies_to(bundle):
                continue
            uv = renderer.bank.texture_uv(bundle.texture, view, renderer.corners, part)
            with torch.enable_grad():
                blank = torch.zeros_like(self._sums[i], requires_grad=True)
                splat = (sample_texture(blank, uv, bundle.texture.extension, "Linear") * value[part]).sum()
                self._sums[i] += torch.autograd.grad(splat, blank)[0]

    def remember(self, name: str) -> None:
        """Keep the textures of this hypothesis and their residuals."""
        for i, bundle in enumerate(self._parameters.bundles):
            if applies_to(bundle):
                self._parameters.memory[f"{name} data {i}"] = bundle.data.detach().clone()
                self._parameters.memory[f"{name} error {i}"] = self._sums[i]


@torch.no_grad()
def decide(parameters: Parameters, seed: int) -> None:
    """Mix the two hypotheses by their residuals, shared within a substance, and forget them."""
    for i, bundle in enumerate(parameters.bundles):
        if not applies_to(bundle):
            continue
        paint, metal = (parameters.memory.pop(f"{name} data {i}") for name in ("paint", "metal"))
        paint_sum, metal_sum = (parameters.memory.pop(f"{name} error {i}") for name in ("paint", "metal"))
        own = slice(*bundle.channels["base_color"])
        sums = torch.cat([paint_sum, metal_sum[..., :1]], dim=-1)
        colors = torch.cat([paint[..., own], metal[..., own]], dim=-1)
        generator = torch.Generator().manual_seed(seed)
        sums = _shared(sums, colors, generator)
        errors = sums / sums[..., 1:2].clamp(min=1e-8)
        better = ((errors[..., 0:1] + 1e-7) / (errors[..., 2:3] + 1e-7)).log()
        seen = paint_sum[..., 1] > 0
        is_metal = torch.zeros_like(better)
        is_metal[seen] = _parsimonious((better[seen][:, 0] - BIAS) / WIDTH, paint[seen][:, own], metal[seen][:, own],
                                       generator)[:, None]  # fmt: skip
        is_metal = push_pull(is_metal, paint_sum[..., 1:])
        bundle.data = torch.lerp(paint, metal, is_metal).requires_grad_(True)


def _parsimonious(
    evidence: torch.Tensor, paint: torch.Tensor, metal: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """Probability [N] that texels are metal, from log odds [N] and the colours [N, 3] under either hypothesis.

    Each round asks how common a texel's colour is among what is held for paint, and for metal, so far.
    """
    is_metal = torch.sigmoid(evidence)
    for _ in range(ROUNDS if len(evidence) else 0):
        chosen = torch.randint(len(evidence), (PALETTE,), generator=generator).to(evidence.device)
        as_metal = _commonness(metal, metal[chosen], is_metal[chosen])
        as_paint = _commonness(paint, paint[chosen], 1.0 - is_metal[chosen])
        is_metal = torch.sigmoid(evidence + PARSIMONY * ((as_metal + RARE) / (as_paint + RARE)).log())
    return is_metal


def _commonness(color: torch.Tensor, palette: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Share [N] of the palette [M, 3], weighted, that is like each color [N, 3]: a kernel density estimate."""
    shares = [
        (torch.cdist(part, palette).square() / (-2.0 * SAME_COLOUR**2)).exp() @ weight / len(palette)
        for part in color.split(8192)
    ]
    return torch.cat(shares)


@wp.kernel(enable_backward=False)
def _shared_kernel(
    start: int,
    slot: int,
    shift: wp.array2d(dtype=wp.int32),
    sums: wp.array2d(dtype=wp.vec3),
    color: wp.array3d(dtype=wp.float32),
    sharpness: float,
    out: wp.array2d(dtype=wp.vec3),
):
    i = start + wp.tid()
    height = sums.shape[0]
    width = sums.shape[1]
    y = i // width
    x = i % width
    total = sums[y, x]
    for k in range(shift.shape[0]):
        v = (y + shift[k, 0]) % height
        u = (x + shift[k, 1]) % width
        if sums[v, u][1] > 0.0:
            apart = float(0.0)
            for c in range(color.shape[2]):
                d = color[y, x, c] - color[v, u, c]
                apart += d * d
            total += sums[v, u] * wp.exp(-sharpness * apart)
    out[y, x] = total


def _shared(sums: torch.Tensor, color: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Sums [H, W, 3] gathered from random texels nearby that have a like `color` [H, W, C] in both hypotheses.

    The second sum is the weight: texels where it is 0 have no vote.
    """
    height, width = sums.shape[:2]
    shift = torch.randn(VOTERS, 2, generator=generator) * VOTING_RADIUS * torch.tensor([float(height), float(width)])
    size = torch.tensor([height, width])
    shift = shift.round().to(torch.int32).remainder(size).to(torch.int32).to(sums.device)  # never negative
    total = torch.empty_like(sums)
    inputs = [
        wp.from_torch(shift),
        wp.from_torch(sums.contiguous(), dtype=wp.vec3),
        wp.from_torch(color.contiguous()),
        1.0 / (2.0 * ALIKE**2),
        wp.from_torch(total, dtype=wp.vec3),
    ]
    launch(_shared_kernel, height * width, inputs, str(sums.device))
    return total
