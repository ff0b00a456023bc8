# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable view transform: scene-linear Rec.709 radiance to the picture that Blender shows and saves."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import warp as wp

from ..ops.launch import launch
from ..scene import ViewSettings
from .bake import BakedView, bake
from .kernels import View, backward_kernel, forward_kernel, inverse_kernel
from .tone import ToneCurve

_INVERSE_ITERATIONS = 24


class ViewTransform:
    """Scene-linear Rec.709 [..., 3] to display-referred values in [0, 1] (sRGB-encoded on an sRGB display).

    ``out = view(look(2^exposure * rgb))^(1 / gamma)``, docs/blender-image-formation.md §4.

    The gradient is that of the formula wherever the picture is inside its range. A channel that has reached an end of
    the range (half a step of 8 bits or less is left) has a slope of almost or exactly zero, and a render that is too
    bright or too dark there could never come back. For such a channel, and only when the loss pulls it **into** the
    range, its own slope is at least that of a surrogate: at the dark end the slope of the curve at 5 % of its range,
    at the bright end the slope per stop at 95 %. Where the photo is clipped as well the loss does not pull, and nothing
    is invented.

    ``tone_curve`` is what the transform does to grey.
    """

    def __init__(self, settings: ViewSettings, device: str = "cpu") -> None:
        """Raises what :func:`bake` raises."""
        self._setup(bake(settings), device)

    @classmethod
    def from_baked(cls, baked: BakedView, device: str = "cpu") -> ViewTransform:
        """From the arrays of a job folder; needs neither configuration nor OpenColorIO."""
        self = cls.__new__(cls)
        self._setup(baked, device)
        return self

    def _setup(self, baked: BakedView, device: str) -> None:
        self.device = device
        view = View()
        view.stages = wp.array(baked.stages, dtype=int, device=device)
        view.parameters = wp.array(baked.parameters, dtype=float, device=device)
        view.tables = wp.array(baked.tables, dtype=wp.vec2, device=device)
        view.cubes = wp.array(baked.cubes, dtype=wp.vec3, device=device)
        self._view = view
        grey = torch.logspace(-16, 16, 2049, base=2.0)
        shown = self(grey[:, None].expand(-1, 3).to(device)).mean(1).cpu()
        self.tone_curve = ToneCurve.of(grey.numpy(), shown.numpy())
        view.toe, view.shoulder, view.shoulder_start = _surrogates(self.tone_curve)

    def __call__(self, rgb: torch.Tensor, exposure: torch.Tensor | float | None = None) -> torch.Tensor:
        """Apply to ``rgb`` [..., 3]; ``exposure`` in stops comes on top of the scene's, one number or broadcastable."""
        if exposure is not None:
            rgb = rgb * torch.exp2(torch.as_tensor(exposure, dtype=rgb.dtype, device=rgb.device))
        return _Apply.apply(rgb, self)

    def inverse(self, display: torch.Tensor, exposure: float = 0.0) -> torch.Tensor:
        """A scene-linear colour [..., 3] that the transform shows as ``display`` [..., 3]; not differentiable.

        Values at the ends of the range stand for a whole interval of radiance; they get its near end. A display colour
        that no radiance gives gets a close one.
        """
        shape = display.shape
        target = display.detach().to(self.device, torch.float32).reshape(-1, 3).clamp(0, 1).contiguous()
        # per channel from the tone curve of grey; the search cannot leave its flat ends, so it starts inside of them
        ends = self.tone_curve.display[[0, -1]]
        start = self.tone_curve.decode(np.clip(target.cpu().numpy(), *np.quantile(ends, [0.002, 0.998])))
        colours = torch.from_numpy(start.astype(np.float32)).to(self.device).contiguous()
        arrays = [_vectors(target), _INVERSE_ITERATIONS, _vectors(colours)]
        launch(inverse_kernel, len(target), [self._view, *arrays], self.device)
        return (colours / 2.0**exposure).reshape(shape)


class _Apply(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rgb: torch.Tensor, transform: ViewTransform) -> torch.Tensor:
        colours = rgb.detach().to(torch.float32).reshape(-1, 3).contiguous()
        out = torch.empty_like(colours)
        needed = ctx.needs_input_grad[0]
        jacobians = colours.new_empty((len(colours) if needed else 0, 3, 3))
        arrays = [_vectors(colours), _vectors(out), wp.from_torch(jacobians, dtype=wp.mat33)]
        launch(forward_kernel, len(colours), [transform._view, *arrays], transform.device)
        if needed:
            ctx.transform = transform
            ctx.save_for_backward(colours, out, jacobians)
        return out.reshape(rgb.shape).to(rgb.dtype)

    @staticmethod
    def backward(ctx: Any, out_gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        colours, out, jacobians = ctx.saved_tensors
        pull = out_gradient.to(torch.float32).reshape(-1, 3).contiguous()
        gradient = torch.empty_like(colours)
        arrays = [_vectors(colours), _vectors(out), wp.from_torch(jacobians, dtype=wp.mat33)]
        arrays += [_vectors(pull), _vectors(gradient)]
        launch(backward_kernel, len(colours), [ctx.transform._view, *arrays], ctx.transform.device)
        return gradient.reshape(out_gradient.shape).to(out_gradient.dtype), None


def _vectors(tensor: torch.Tensor) -> Any:
    return wp.from_torch(tensor, dtype=wp.vec3)


def _surrogates(tone: ToneCurve) -> tuple[float, float, float]:
    """Slope in the shadows, slope per natural logarithm in the highlights, and the radiance at which they begin."""
    slope = np.gradient(tone.display, tone.radiance)
    dark, bright = np.searchsorted(tone.display, np.quantile(tone.display[[0, -1]], [0.05, 0.95]))
    return float(slope[dark]), float(slope[bright] * tone.radiance[bright]), float(tone.radiance[bright])
