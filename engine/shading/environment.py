# SPDX-License-Identifier: GPL-3.0-or-later
"""Equirectangular environments: Cycles' lookup and importance sampling (docs/blender-image-formation.md §2)."""

from __future__ import annotations

import torch
import warp as wp

from .bsdf import PI

# A world of one colour is an image of one texel, which needs no importance sampling.
MAX_SAMPLING_SIDE = 1024


@wp.struct
class EnvironmentArrays:
    """Radiance image (row 0 = bottom), lookup rotation and the sampling tables.

    ``marginal[row + 1]`` and ``conditional[row, column + 1]`` are cumulative, ``density[row, column]`` per steradian.
    """

    image: wp.array2d(dtype=wp.vec3)
    rotation: wp.mat33
    marginal: wp.array(dtype=wp.float32)
    conditional: wp.array2d(dtype=wp.float32)
    first_row: wp.array(dtype=wp.int32)  # [rows], where the search of a row begins
    first_column: wp.array2d(dtype=wp.int32)  # [rows, columns]
    density: wp.array2d(dtype=wp.float32)
    fixed: int  # 1: the image stays what it is while samples are kept, which may then hold its radiance


@wp.struct
class Bilinear:
    """The four texels of a bilinear lookup that wraps in both directions, and their weights."""

    x0: int
    x1: int
    y0: int
    y1: int
    fx: float
    fy: float


@wp.func
def equirectangular_uv(d: wp.vec3):
    """Texture coordinates of a unit lookup direction."""
    return wp.vec2(0.5 - wp.atan2(d[1], d[0]) / (2.0 * PI), 0.5 + wp.asin(wp.clamp(d[2], -1.0, 1.0)) / PI)


@wp.func
def equirectangular_direction(u: float, v: float):
    """Unit lookup direction of texture coordinates."""
    phi = -2.0 * PI * (u - 0.5)
    theta = PI * (v - 0.5)
    return wp.vec3(wp.cos(theta) * wp.cos(phi), wp.cos(theta) * wp.sin(phi), wp.sin(theta))


@wp.func
def _wrapped(i: int, n: int):
    """i modulo n, not negative. Nearly all lookups lie inside, and a division takes as long as the rest of them."""
    result = i
    if i < 0 or i >= n:
        result = (i % n + n) % n
    return result


@wp.func
def bilinear_of(u: float, v: float, height: int, width: int):
    """Texels and weights for texture coordinates."""
    x = u * float(width) - 0.5
    y = v * float(height) - 0.5
    x_floor = int(wp.floor(x))
    y_floor = int(wp.floor(y))
    b = Bilinear()
    b.fx = x - float(x_floor)
    b.fy = y - float(y_floor)
    b.x0 = _wrapped(x_floor, width)
    b.x1 = _wrapped(x_floor + 1, width)
    b.y0 = _wrapped(y_floor, height)
    b.y1 = _wrapped(y_floor + 1, height)
    return b


@wp.func
def lookup_uv(image: wp.array2d(dtype=wp.vec3), u: float, v: float):
    """Radiance of the environment at texture coordinates."""
    b = bilinear_of(u, v, image.shape[0], image.shape[1])
    low = wp.lerp(image[b.y0, b.x0], image[b.y0, b.x1], b.fx)
    high = wp.lerp(image[b.y1, b.x0], image[b.y1, b.x1], b.fx)
    return wp.lerp(low, high, b.fy)


@wp.func
def lookup(image: wp.array2d(dtype=wp.vec3), rotation: wp.mat33, direction: wp.vec3):
    """Radiance of the environment in a world-space unit direction."""
    uv = equirectangular_uv(rotation * direction)
    return lookup_uv(image, uv[0], uv[1])


@wp.func
def density_at(environment: EnvironmentArrays, uv: wp.vec2):
    """Probability per steradian with which `sample_environment` draws what lies at texture coordinates."""
    height = environment.density.shape[0]
    width = environment.density.shape[1]
    x = wp.clamp(int(uv[0] * float(width)), 0, width - 1)
    y = wp.clamp(int(uv[1] * float(height)), 0, height - 1)
    return environment.density[y, x]


@wp.func
def environment_density(environment: EnvironmentArrays, direction: wp.vec3):
    """Probability per steradian with which `sample_environment` draws a world-space unit direction."""
    return density_at(environment, equirectangular_uv(environment.rotation * direction))


@wp.func
def upper(cumulative: wp.array(dtype=wp.float32), begin: wp.array(dtype=wp.int32), u: float):
    """Largest i with cumulative[i] <= u, at most the last interval. A search from begin[u n], see `begins`, takes a
    step or two where halving the range would take eight, each of them a branch that no processor can predict."""
    last = begin.shape[0] - 1
    i = begin[wp.clamp(int(u * float(last + 1)), 0, last)]
    while i < last and cumulative[i + 1] <= u:
        i += 1
    return i


@wp.struct
class EnvironmentSample:
    """A world-space unit direction, its texture coordinates and the probability per steradian of drawing it."""

    direction: wp.vec3
    uv: wp.vec2
    density: float


@wp.func
def sample_environment(environment: EnvironmentArrays, u: float, v: float):
    """A direction drawn in proportion to the environment's radiance."""
    row = upper(environment.marginal, environment.first_row, v)
    fy = (v - environment.marginal[row]) / wp.max(environment.marginal[row + 1] - environment.marginal[row], 1.0e-12)
    cumulative = environment.conditional[row]
    column = upper(cumulative, environment.first_column[row], u)
    fx = (u - cumulative[column]) / wp.max(cumulative[column + 1] - cumulative[column], 1.0e-12)
    height = environment.density.shape[0]
    width = environment.density.shape[1]
    s = EnvironmentSample()
    s.uv = wp.vec2((float(column) + fx) / float(width), (float(row) + fy) / float(height))
    d = equirectangular_direction(s.uv[0], s.uv[1])
    s.direction = wp.transpose(environment.rotation) * d
    s.density = environment.density[row, column]
    return s


def begins(cumulative: torch.Tensor) -> torch.Tensor:
    """For each row of `cumulative` [..., N + 1], the interval [..., N] that k / N lies in, less a rounding error."""
    count = cumulative.shape[-1] - 1
    places = ((torch.arange(count) - 1e-3) / count).to(cumulative.dtype).expand(*cumulative.shape[:-1], count)
    found = torch.searchsorted(cumulative.contiguous(), places.contiguous(), right=True) - 1
    return found.clamp(0, count - 1).to(torch.int32)


def environment_arrays(image: torch.Tensor, rotation: torch.Tensor) -> EnvironmentArrays:
    """Kernel arrays for radiance `image` [H, W, 3] (strength included) and `rotation` [3, 3] (world -> lookup)."""
    device = str(image.device)
    image = image.detach().to(torch.float32).contiguous()
    luminance = image.mean(dim=-1).clamp(min=0)
    # Bilinear lookups reach into the neighbour texels; this is their mean over a texel, sharp suns included.
    for dim in (0, 1):
        luminance = 0.75 * luminance + 0.125 * (luminance.roll(1, dim) + luminance.roll(-1, dim))
    while luminance.shape[0] % 2 == 0 and luminance.shape[1] % 2 == 0 and luminance.shape[1] > MAX_SAMPLING_SIDE:
        luminance = torch.nn.functional.avg_pool2d(luminance[None, None], 2)[0, 0]
    height, width = luminance.shape
    edges = torch.linspace(-torch.pi / 2, torch.pi / 2, height + 1, dtype=torch.float64)
    solid_angle = (torch.sin(edges[1:]) - torch.sin(edges[:-1])) * (2 * torch.pi / width)
    weight = luminance.double().cpu() + 0.02 * float(luminance.mean()) + 1e-9
    mass = weight * solid_angle[:, None]
    density = weight / mass.sum()
    rows = mass.sum(1)
    marginal = torch.cat([torch.zeros(1, dtype=torch.float64), (rows / rows.sum()).cumsum(0)])
    conditional = torch.cat([torch.zeros(height, 1, dtype=torch.float64), (mass / rows[:, None]).cumsum(1)], dim=1)
    arrays = EnvironmentArrays()
    arrays.image = wp.from_torch(image, dtype=wp.vec3)
    arrays.rotation = wp.mat33(*[float(x) for x in rotation.reshape(-1)])
    arrays.marginal = wp.array(marginal.float().numpy(), dtype=wp.float32, device=device)
    arrays.conditional = wp.array(conditional.float().numpy(), dtype=wp.float32, device=device)
    arrays.first_row = wp.array(begins(marginal.float()).numpy(), dtype=wp.int32, device=device)
    arrays.first_column = wp.array(begins(conditional.float()).numpy(), dtype=wp.int32, device=device)
    arrays.density = wp.array(density.float().numpy(), dtype=wp.float32, device=device)
    return arrays
