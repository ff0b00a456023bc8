# SPDX-License-Identifier: GPL-3.0-or-later
"""Spheres and a bent torus of any density, for tests and benchmarks of visibility gradients."""

from __future__ import annotations

import math

import torch

from likeness.engine.ops import RasterizeContext, interpolate, rasterize, silhouette_gradient

PARAMETERS = ("translation x", "translation y", "translation z", "scale", "rotation x", "rotation y", "rotation z")
SUPERSAMPLING = 16


def grid_mesh(rows: int, columns: int, around_rows: bool) -> torch.Tensor:
    """Triangles [T, 3] int32 of a grid of vertices that is closed in columns, and in rows too if wanted."""
    last = rows if around_rows else rows - 1
    i, j = torch.meshgrid(torch.arange(last), torch.arange(columns), indexing="ij")
    corners = [((i + a) % rows) * columns + (j + b) % columns for a, b in ((0, 0), (0, 1), (1, 1), (1, 0))]
    a, b, c, d = (corner.reshape(-1) for corner in corners)
    return torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)]).to(torch.int32)


def sphere(triangles: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Vertices [V, 3] float64 and triangles of a unit sphere."""
    rows = max(4, round(math.sqrt(triangles / 4)))
    polar = torch.linspace(0, math.pi, rows + 1, dtype=torch.float64)[:, None]
    around = torch.arange(2 * rows, dtype=torch.float64) * (math.pi / rows)
    points = torch.stack([polar.sin() * around.cos(), polar.sin() * around.sin(), polar.cos().expand(-1, 2 * rows)], -1)
    return points.reshape(-1, 3), grid_mesh(rows + 1, 2 * rows, False)


def bent_torus(triangles: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A torus whose ring is bent like a saddle: it hides parts of itself."""
    rows = max(4, round(math.sqrt(triangles / 4)))
    ring = (torch.arange(2 * rows, dtype=torch.float64) * (math.pi / rows))[:, None]
    tube = torch.arange(rows, dtype=torch.float64) * (2 * math.pi / rows)
    radius = 0.8 + 0.3 * tube.cos()
    x, y = radius * ring.cos(), radius * ring.sin()
    z = 0.3 * tube.sin() + 0.25 * (2 * ring).cos()
    return torch.stack([x, y, z.expand_as(x)], -1).reshape(-1, 3), grid_mesh(2 * rows, rows, True)


def moved(points: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    """Clip-space positions [1, V, 4] float32 of points scaled, turned (radians) and moved by PARAMETERS [7]."""
    scale = 1.0 + parameters[3]
    spin = parameters[4:7] + torch.tensor([0.9, 0.3, 0.2], dtype=parameters.dtype)
    zero = torch.zeros_like(scale)
    generator = torch.stack([zero, -spin[2], spin[1], spin[2], zero, -spin[0], -spin[1], spin[0], zero]).reshape(3, 3)
    world = scale * points @ torch.linalg.matrix_exp(generator).T + parameters[:3]
    depth = 4.0 - world[:, 2]
    near, far = 1.0, 20.0
    z = ((far + near) * depth - 2 * far * near) / (far - near)
    return torch.stack([2.6 * world[:, 0], 2.6 * world[:, 1], z, depth], 1)[None].float()


def picture(points: torch.Tensor, tri: torch.Tensor, parameters: torch.Tensor, size: int, edges: bool) -> torch.Tensor:
    """Smoothly coloured mesh before a smooth background [1, size, size, 3]; ``edges``: with gradients of visibility."""
    pos = moved(points, parameters)
    rast, _ = rasterize(RasterizeContext(), pos, tri, (size, size))
    color = 0.6 + 0.15 * torch.sin(points * torch.tensor([1.3, 1.1, 0.9]) + torch.tensor([0.3, 1.0, 2.0]))
    shaded, _ = interpolate(color[None].float(), rast, tri)
    place = (torch.arange(size) + 0.5) / size
    behind = torch.stack([0.1 * place.expand(size, size), 0.2 * place[:, None].expand(size, size),
                          torch.full((size, size), 0.05)], -1)  # fmt: skip
    image = torch.where(rast[..., 3:] > 0, shaded, behind)
    return silhouette_gradient(image, rast, pos, tri) if edges else image


def loss(image: torch.Tensor) -> torch.Tensor:
    """Squares of the pixels [1, H, W, 3], weighted unevenly so that every movement matters."""
    place = (torch.arange(image.shape[1], dtype=torch.float64) + 0.5) / image.shape[1]
    weight = torch.exp(2.0 * place - 1.5 * place[:, None])
    return (weight[None, ..., None] * image.double().square()).sum()


def differences(points: torch.Tensor, tri: torch.Tensor, size: int, step: float = 0.006) -> torch.Tensor:
    """Central differences of the loss [7] of a picture that is the mean of SUPERSAMPLING² samples a pixel.

    Steps are small, as the outlines of coarse meshes have kinks.
    """

    def at(parameters: torch.Tensor) -> torch.Tensor:
        fine = picture(points, tri, parameters, size * SUPERSAMPLING, False).double()
        return loss(torch.nn.functional.avg_pool2d(fine.permute(0, 3, 1, 2), SUPERSAMPLING).permute(0, 2, 3, 1))

    units = torch.eye(len(PARAMETERS), dtype=torch.float64) * step
    return torch.stack([(at(unit) - at(-unit)) / (2 * step) for unit in units])


def analytic(points: torch.Tensor, tri: torch.Tensor, size: int, edges: bool = True) -> torch.Tensor:
    """The gradient of the loss [7] by the ops, one sample a pixel."""
    parameters = torch.zeros(len(PARAMETERS), dtype=torch.float64, requires_grad=True)
    loss(picture(points, tri, parameters, size, edges)).backward()
    assert parameters.grad is not None
    return parameters.grad


def worst(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The largest relative error among translation, scale and rotation."""
    parts = slice(0, 3), slice(3, 4), slice(4, 7)
    return max(float((found[part] - expected[part]).norm() / expected[part].norm()) for part in parts)
