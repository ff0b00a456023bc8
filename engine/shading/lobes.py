# SPDX-License-Identifier: GPL-3.0-or-later
"""Lobe weights of every pixel as a differentiable torch operation.

Worked out once a pixel; the loops over light samples are those of shade.py. The backward is written by hand
(lobes_backward.py).
"""

from __future__ import annotations

import torch
import warp as wp

from ..ops.launch import launch
from .bsdf import Lobes, Tables, device_tables, f0_of, lift_normal, lobes_of
from .lobes_backward import lobes_backward_kernel

# Columns of the parameter rows: base 0-2, metallic 3, roughness 4, ior 5, specular level 6, specular tint 7-9,
# multiscatter 10.
SURFACE_WIDTH = 11
# Columns of a lobe row: diffuse 0-2, constant 3-5, schlick 6-8, edge 9-11, dielectric 12-14, eta 15, alpha² 16.
LOBE_WIDTH = 17


@wp.kernel(enable_backward=False)
def _lobes_kernel(
    start: int,
    slot: int,
    surface: wp.array2d(dtype=wp.float32),
    normal: wp.array(dtype=wp.vec3),
    geometric: wp.array(dtype=wp.vec3),
    view: wp.array(dtype=wp.vec3),
    tables: Tables,
    out: wp.array2d(dtype=wp.float32),
):
    i = start + wp.tid()
    lifted = lift_normal(normal[i], geometric[i], view[i])
    nv = wp.clamp(wp.dot(lifted, view[i]), 1.0e-4, 1.0)
    lobes = lobes_of(
        wp.vec3(surface[i, 0], surface[i, 1], surface[i, 2]),
        surface[i, 4],
        surface[i, 3],
        surface[i, 5],
        surface[i, 6],
        wp.vec3(surface[i, 7], surface[i, 8], surface[i, 9]),
        surface[i, 10],
        nv,
        tables,
    )
    out[i, 0] = lobes.diffuse[0]
    out[i, 1] = lobes.diffuse[1]
    out[i, 2] = lobes.diffuse[2]
    out[i, 3] = lobes.constant[0]
    out[i, 4] = lobes.constant[1]
    out[i, 5] = lobes.constant[2]
    out[i, 6] = lobes.schlick[0]
    out[i, 7] = lobes.schlick[1]
    out[i, 8] = lobes.schlick[2]
    out[i, 9] = lobes.edge[0]
    out[i, 10] = lobes.edge[1]
    out[i, 11] = lobes.edge[2]
    out[i, 12] = lobes.dielectric[0]
    out[i, 13] = lobes.dielectric[1]
    out[i, 14] = lobes.dielectric[2]
    out[i, 15] = lobes.eta
    out[i, 16] = lobes.alpha2


@wp.func
def read_lobes(rows: wp.array2d(dtype=wp.float32), i: int):
    """Row i as a Lobes struct."""
    lobes = Lobes()
    lobes.diffuse = wp.vec3(rows[i, 0], rows[i, 1], rows[i, 2])
    lobes.constant = wp.vec3(rows[i, 3], rows[i, 4], rows[i, 5])
    lobes.schlick = wp.vec3(rows[i, 6], rows[i, 7], rows[i, 8])
    lobes.edge = wp.vec3(rows[i, 9], rows[i, 10], rows[i, 11])
    lobes.dielectric = wp.vec3(rows[i, 12], rows[i, 13], rows[i, 14])
    lobes.eta = rows[i, 15]
    lobes.f0 = f0_of(lobes.eta)
    lobes.by_rise = 1.0 / (1.0 - lobes.f0)
    lobes.alpha2 = rows[i, 16]
    return lobes


class _LobeWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx, surface, normal, geometric, view):
        device = str(surface.device)
        out = torch.empty((len(surface), LOBE_WIDTH), dtype=torch.float32, device=surface.device)
        launch(_lobes_kernel, len(surface), [*_inputs(surface, normal, geometric, view), wp.from_torch(out)], device)
        ctx.save_for_backward(surface, normal, geometric, view)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        surface, normal, geometric, view = ctx.saved_tensors
        grad_surface = torch.empty_like(surface)
        grad_normal = torch.empty_like(normal)
        gradients = [
            wp.from_torch(grad_out.contiguous()),
            wp.from_torch(grad_surface),
            wp.from_torch(grad_normal, dtype=wp.vec3),
        ]
        inputs = [*_inputs(surface, normal, geometric, view), *gradients]
        launch(lobes_backward_kernel, len(surface), inputs, str(surface.device))
        return grad_surface, grad_normal, None, None


def _inputs(surface, normal, geometric, view):
    return [
        wp.from_torch(surface, requires_grad=False),
        wp.from_torch(normal, dtype=wp.vec3, requires_grad=False),
        wp.from_torch(geometric, dtype=wp.vec3),
        wp.from_torch(view, dtype=wp.vec3),
        device_tables(str(surface.device)),
    ]


def lobe_weights(
    surface: torch.Tensor, normal: torch.Tensor, geometric: torch.Tensor, view: torch.Tensor
) -> torch.Tensor:
    """Lobe weights [P, LOBE_WIDTH] of P pixels, differentiable with respect to `surface` and `normal`.

    Not with respect to the index of refraction, the specular level and multiple scattering, which are not fitted.

    `surface` is [P, SURFACE_WIDTH]; `normal` (shading), `geometric` (towards the viewer) and `view` (to the viewer) are
    unit world vectors [P, 3].
    """
    return _LobeWeights.apply(surface.contiguous(), normal.contiguous(), geometric, view)
