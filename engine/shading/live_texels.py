# SPDX-License-Identifier: GPL-3.0-or-later
"""Gradients through the first reflection: what a light sample brings from a surface changes with its fitted texture.

A sample from a fitted texel has it as its source, in the rows behind those of the lights: its radiance is multiplied by
the texel's *gain*, 1 as long as the texel is what it was when the sample was gathered, and by as much more as the
surface would reflect or emit more of each channel. Kernels treat gains as they treat the colours of lights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import warp as wp

from ..geometry import GeometryArrays
from ..ops.launch import launch
from .bsdf import Tables, device_tables
from .indirect import albedo_of
from .reduction import MAX_SIDE, curve, reduced
from .samples import SOURCE_ENVIRONMENT, Samples
from .secondary import MaterialArrays, sockets_of, texel_of, uv_at

# Where fitted texels bring less of a view's light than this, their gradient is not worth its time.
LEAST_SHARE = 0.05
# Every so many-th pixel tells that share.
_STRIDE = 16
# Cosine of the view, and relative step, by which the share of the base colour is found.
_VIEW = wp.constant(0.7)
_STEP = wp.constant(0.02)


@wp.func
def live_source(
    geometry: GeometryArrays, materials: MaterialArrays, lights: int, which: int, face: int, u: float, v: float
):
    """Source of a sample from a point of a face: the texel of its texture `which`; -1 if that is not fitted."""
    m = geometry.material[face]
    source = int(-1)
    if materials.live[m, which] >= 0:
        uv = uv_at(geometry, materials.textures[m, which, 3], face, u, v, 1.0 - u - v)
        texel = texel_of(materials, m, which, uv)
        if texel >= 0:
            source = wp.max(lights, 1) + materials.live[m, which] + texel
    return source


@dataclass
class LiveTexture:
    """A fitted texture that samples may come from."""

    bundle: int  # number in MaterialBank.bundles
    channels: tuple[int, int]
    encoded: bool
    before: torch.Tensor  # [h, w, 3] reduced and decoded, when samples were gathered
    share: torch.Tensor  # [h, w, 3] of what the surface reflects or emits that is in proportion to it

    def gains(self, data: torch.Tensor) -> torch.Tensor:
        """Gains [h w, 3] with the bundle's `data` [H, W, C]."""
        now = _Reduced.apply(data, self.channels, self.encoded)
        return (1.0 + self.share * (now / self.before.clamp(min=1e-4) - 1.0)).reshape(-1, 3)


@wp.kernel(enable_backward=False)
def _share_kernel(
    start: int,
    slot: int,
    materials: MaterialArrays,
    tables: Tables,
    material: int,
    base: wp.array(dtype=wp.vec3),
    metallic: wp.array(dtype=wp.vec3),
    share: wp.array(dtype=wp.vec3),
):
    """Relative change of what a surface reflects by that of its base colour."""
    i = start + wp.tid()
    s = sockets_of(materials, material)
    s.base = base[i]
    if metallic.shape[0] > 0:
        s.metallic = wp.clamp(metallic[i][0], 0.0, 1.0)
    s.normal = wp.vec3(0.0, 0.0, 1.0)
    view = wp.vec3(wp.sqrt(1.0 - _VIEW * _VIEW), 0.0, _VIEW)
    before = albedo_of(s, view, tables)
    s.base = base[i] * (1.0 + _STEP)
    after = albedo_of(s, view, tables)
    result = wp.vec3(0.0, 0.0, 0.0)
    for c in range(3):
        whole = before.diffuse[c] + before.glossy[c]
        result[c] = wp.clamp((after.diffuse[c] + after.glossy[c] - whole) / (_STEP * wp.max(whole, 1.0e-6)), 0.0, 1.5)
    share[i] = result


def share_of_base(table: MaterialArrays, row: int, base: torch.Tensor, metallic: torch.Tensor | None) -> torch.Tensor:
    """Share [h, w, 3] of what surfaces of a material row reflect that is in proportion to their `base` colour
    [h, w, 3], as a mean over views; `metallic` [h, w, 3] where there is a map of it."""
    device = str(base.device)
    share = torch.empty_like(base)
    flat = [x.reshape(-1, 3).contiguous() for x in (base, base[:0] if metallic is None else metallic, share)]
    arrays = [wp.from_torch(x, dtype=wp.vec3) for x in flat]
    launch(_share_kernel, len(flat[0]), [table, device_tables(device), row, *arrays], device)
    return flat[2].reshape(base.shape)


def is_worth_it(samples: Samples, light_color: torch.Tensor, environment: torch.Tensor) -> bool:
    """Whether enough of the light of a view comes from fitted texels."""
    source, radiance = samples.source[::_STRIDE].long(), samples.radiance[::_STRIDE]
    stored = torch.arange(source.shape[1], device=source.device) < samples.count[::_STRIDE, None]
    lights = len(light_color)
    light = radiance.mean(-1)
    of_sky = radiance[..., 0] * environment.detach().mean()
    light = torch.where(source == int(SOURCE_ENVIRONMENT), of_sky, light)
    of_light = light * light_color.detach().mean(1)[source.clamp(0, lights - 1)]
    light = torch.where((source >= 0) & (source < lights), of_light, light)
    live = light[stored & (source >= lights)].sum()
    return bool(live > LEAST_SHARE * light[stored].sum())


@wp.kernel(enable_backward=False)
def _unreduce_kernel(
    start: int,
    slot: int,
    pixels: wp.array3d(dtype=wp.float32),
    factor: int,
    first: int,
    encoded: int,
    nodes: wp.array(dtype=wp.float32),
    grad_out: wp.array3d(dtype=wp.float32),
    grad: wp.array3d(dtype=wp.float32),
):
    """Derivatives of means of squares of pixels, of which `encoded` are decoded before."""
    i = start + wp.tid()
    row = i // grad_out.shape[1]
    column = i - row * grad_out.shape[1]
    g = wp.vec3(grad_out[row, column, 0], grad_out[row, column, 1], grad_out[row, column, 2])
    if wp.length_sq(g) > 0.0:
        bottom = wp.min((row + 1) * factor, pixels.shape[0])
        right = wp.min((column + 1) * factor, pixels.shape[1])
        g = g / float((bottom - row * factor) * (right - column * factor))
        last = nodes.shape[0] - 1
        for y in range(row * factor, bottom):
            for x in range(column * factor, right):
                for c in range(3):
                    slope = float(1.0)
                    if encoded == 1:
                        node = wp.clamp(int(pixels[y, x, first + c] * float(last)), 0, last - 1)
                        slope = (nodes[node + 1] - nodes[node]) * float(last)
                    grad[y, x, first + c] = g[c] * slope


class _Reduced(torch.autograd.Function):
    """reduction.reduced of three channels, differentiable."""

    @staticmethod
    def forward(ctx: Any, data: torch.Tensor, channels: tuple[int, int], encoded: bool) -> torch.Tensor:
        ctx.save_for_backward(data)
        ctx.how = channels[0], encoded
        return reduced(data[..., channels[0] : channels[1]], (0, 3) if encoded else (0, 0))

    @staticmethod
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (data,) = ctx.saved_tensors
        first, encoded = ctx.how
        height, width = grad_out.shape[:2]
        device = str(data.device)
        grad = torch.zeros_like(data)
        factor = max(1, -(-max(data.shape[:2]) // MAX_SIDE))
        inputs = [wp.from_torch(data.contiguous(), requires_grad=False), factor, first, int(encoded), curve(device)]
        inputs += [wp.from_torch(grad_out.contiguous()), wp.from_torch(grad)]
        launch(_unreduce_kernel, height * width, inputs, device)
        return grad, None, None
