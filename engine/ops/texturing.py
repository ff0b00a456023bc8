# SPDX-License-Identifier: GPL-3.0-or-later
"""Texture lookups with nvdiffrast's conventions: plain and cube-map textures, mip maps, gradients for all inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import warp as wp

from . import texture_kernels as kernels
from .arrays import group, view
from .checks import INT32_MAX, check_choice, check_tensor
from .launch import cpu_threads, launch, owners
from .mip_kernels import level_gradient_kernel, level_kernel
from .mipmaps import MipStack, build, check_texture, last_level, level_offsets, level_shape, pull_back
from .texture_taps_kernels import CUBE, MIP_LINEAR, NEAREST, Lookup

FILTERS = ("nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear")
BOUNDARIES = ("wrap", "clamp", "zero", "cube")


@dataclass
class _Call:
    """What the kernels of a call need beside the tensors that have gradients."""

    filter: int
    boundary: int
    last: int  # number of the smallest level in use
    automatic: bool  # levels were made from the texture: their gradients belong to it
    offsets: torch.Tensor

    def lookup(self, tex: torch.Tensor, uv: torch.Tensor) -> Any:
        r = Lookup()
        r.height, r.width = tex.shape[-3:-1]
        r.images = tex.shape[0]
        r.pixels = uv.shape[1] * uv.shape[2]
        r.groups = group(tex.shape[-1])[1]
        r.last, r.filter, r.boundary = self.last, self.filter, self.boundary
        return r


def _flat(tensor: torch.Tensor) -> Any:
    return view(tensor, wp.float32)


class _Texture(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        tex: torch.Tensor,
        mip: torch.Tensor,
        uv: torch.Tensor,
        uv_da: torch.Tensor | None,
        bias: torch.Tensor | None,
        call: _Call,
    ) -> torch.Tensor:
        device, items = str(tex.device), uv.numel() // uv.shape[-1]
        dtype, _ = group(tex.shape[-1])
        level = uv
        if call.last > 0:
            level = torch.empty(items, device=tex.device)
            cube = int(call.boundary == CUBE)
            arrays = [_flat(uv), _flat(uv if uv_da is None else uv_da), _flat(uv if bias is None else bias)]
            flags = [int(uv_da is not None), int(bias is not None), cube]
            sizes = [tex.shape[-2], tex.shape[-3], call.last]
            launch(level_kernel, items, [*arrays, _flat(level), *flags, *sizes], device)
        out = torch.empty(*uv.shape[:3], tex.shape[-1], device=tex.device)
        arrays = [view(tex, dtype), view(mip, dtype), view(call.offsets, wp.int32), _flat(uv), _flat(level)]
        launch(kernels.SAMPLE[dtype], items, [*arrays, view(out, dtype), call.lookup(tex, uv)], device)
        ctx.save_for_backward(tex, mip, uv, uv_da, level)
        ctx.call = call
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_out: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tex, mip, uv, uv_da, level = ctx.saved_tensors
        call: _Call = ctx.call
        device, items = str(tex.device), uv.numel() // uv.shape[-1]
        dtype, _ = group(tex.shape[-1])
        lookup = call.lookup(tex, uv)
        shared = [view(call.offsets, wp.int32), _flat(uv), _flat(level), view(grad_out.contiguous(), dtype)]
        needs_tex, needs_mip, needs_uv, needs_da, needs_bias, _ = ctx.needs_input_grad
        grad_tex = grad_mip = grad_uv = grad_da = grad_bias = None
        if needs_tex or needs_mip:
            grad_tex, grad_mip = torch.zeros_like(tex), torch.zeros_like(mip)
            parts = owners(items, device)
            arrays = [view(grad_tex, dtype), view(grad_mip, dtype), *shared]
            launch(kernels.TEXTURE_GRADIENT[dtype], items * parts, [*arrays, lookup, items, parts], device)
            if call.automatic and call.last > 0:
                pull_back(grad_tex, grad_mip, call.last)
                grad_mip = None
        if (needs_uv or needs_da or needs_bias) and call.filter != NEAREST:
            grad_uv, grad_level = torch.zeros_like(uv), torch.zeros(items, device=tex.device)
            arrays = [view(tex, dtype), view(mip, dtype), *shared, _flat(grad_uv), _flat(grad_level)]
            launch(kernels.COORDINATE_GRADIENT[dtype], items, [*arrays, lookup], device)
            if needs_bias:
                grad_bias = grad_level.view(uv.shape[:3])
            if uv_da is not None and call.last > 0 and call.filter == MIP_LINEAR:
                grad_da = torch.zeros_like(uv_da)
                arrays = [_flat(uv), _flat(uv_da), _flat(grad_level), _flat(grad_uv), _flat(grad_da)]
                cube = int(call.boundary == CUBE)
                launch(level_gradient_kernel, items, [*arrays, cube, tex.shape[-2], tex.shape[-3]], device)
        return grad_tex, grad_mip, grad_uv, grad_da, grad_bias, None


def _custom_levels(mip: Sequence[torch.Tensor], tex: torch.Tensor, max_mip_level: int | None) -> tuple[Any, int]:
    """Checked levels in one flat tensor, differentiable; their number, which max_mip_level may limit."""
    count = len(mip) if max_mip_level is None else min(len(mip), max_mip_level)
    if count > 0:
        last_level(tex.shape[-3], tex.shape[-2], count)
    for k in range(count):
        smaller = level_shape(tex.shape, k) != level_shape(tex.shape, k + 1)
        if not smaller:
            raise ValueError(f"mip has a level {k + 1}, but level {k} is a single texel already")
        check_tensor(f"mip[{k}]", mip[k], level_shape(tex.shape, k + 1), device=tex.device)
    return torch.cat([level.reshape(-1) for level in mip[:count]]) if count else tex.new_empty(0), count


def texture(
    tex: torch.Tensor,
    uv: torch.Tensor,
    uv_da: torch.Tensor | None = None,
    mip_level_bias: torch.Tensor | None = None,
    mip: MipStack | Sequence[torch.Tensor] | None = None,
    filter_mode: Literal["auto", "nearest", "linear", "linear-mipmap-nearest", "linear-mipmap-linear"] = "auto",
    boundary_mode: Literal["wrap", "clamp", "zero", "cube"] = "wrap",
    max_mip_level: int | None = None,
) -> torch.Tensor:
    """Look up ``tex`` at ``uv`` with nvdiffrast's conventions -> [N, H, W, C].

    ``tex``: float32 [N or 1, h, w, C], or [N or 1, 6, s, s, C] for boundary_mode 'cube'; row 0 is v = 0. ``uv``:
    [N, H, W, 2], or directions [N, H, W, 3] for 'cube'. ``uv_da``: derivatives by pixel, (du/dX, du/dY, dv/dX, dv/dY)
    or the six of x, y, z. ``mip_level_bias``: [N, H, W], added to the level. ``mip``: from
    :func:`texture_construct_mip` (gradients go to ``tex``) or a list of levels (they get gradients of their own).
    'auto' is 'linear-mipmap-linear' where uv_da or mip_level_bias is given, otherwise 'linear'. The level is log2 of
    the longer half-axis of the footprint in texels, plus the bias.

    First-order gradients for all float inputs. Coordinates that are not finite, and zero directions, give 0.
    Raises TypeError or ValueError that names the argument.
    """
    check_choice("filter_mode", filter_mode, ("auto", *FILTERS))
    check_choice("boundary_mode", boundary_mode, BOUNDARIES)
    cube = boundary_mode == "cube"
    tex = check_texture(tex, cube)
    uv = check_tensor("uv", uv, (None, None, None, 3 if cube else 2), device=tex.device)
    if tex.shape[0] not in (1, uv.shape[0]):
        raise ValueError(f"tex has {tex.shape[0]} images but uv has {uv.shape[0]}")
    if filter_mode == "auto":
        filter_mode = "linear" if uv_da is None and mip_level_bias is None else "linear-mipmap-linear"
    data, last, automatic = tex.new_empty(0), 0, True
    if filter_mode in ("linear-mipmap-nearest", "linear-mipmap-linear"):
        if uv_da is None and mip_level_bias is None:
            raise ValueError(f"uv_da or mip_level_bias is needed for filter_mode {filter_mode!r}")
        if uv_da is not None:
            uv_da = check_tensor("uv_da", uv_da, (*uv.shape[:3], 6 if cube else 4), device=tex.device)
        if mip_level_bias is not None:
            mip_level_bias = check_tensor("mip_level_bias", mip_level_bias, uv.shape[:3], device=tex.device)
        if mip is None:
            last = last_level(tex.shape[-3], tex.shape[-2], max_mip_level)
            data = build(tex, last)
        elif isinstance(mip, MipStack):
            if mip.shape != tex.shape or mip.data.device != tex.device:
                raise ValueError(f"mip was made for a texture {list(mip.shape)} on {mip.data.device}, not for this tex")
            last = mip.last if max_mip_level is None else min(mip.last, max_mip_level)
            data = mip.data
        else:
            automatic = False
            data, last = _custom_levels(mip, tex, max_mip_level)
    if last == 0 and filter_mode != "nearest":
        filter_mode, uv_da, mip_level_bias = "linear", None, None
    if filter_mode in ("nearest", "linear"):
        uv_da = mip_level_bias = None
    if max(uv.numel() * cpu_threads(), uv.shape[:3].numel() * tex.shape[-1]) > INT32_MAX:
        raise ValueError("uv has more lookups than the ops can index")
    offsets = torch.tensor(level_offsets(tex.shape, last), dtype=torch.int32, device=tex.device)
    call = _Call(FILTERS.index(filter_mode), BOUNDARIES.index(boundary_mode), last, automatic, offsets)
    return _Texture.apply(tex, data, uv, uv_da, mip_level_bias, call)
