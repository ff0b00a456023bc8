# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rendering primitives cost beside the same in plain torch: a bumpy sphere of about 80 000 triangles that
fills most of a 512² image, a 1024² texture of four channels. ``python -m benchmarks.ops``

Every comparison first checks that both give the same. Wall-clock time, the best of several runs; processor time (all
threads together) tells what a call costs on a machine that is busy with other things.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch

from likeness.engine.ops import (
    RasterizeContext,
    antialias,
    interpolate,
    rasterize,
    texture,
    texture_construct_mip,
)
from likeness.engine.ops.blender_texture import sample_texture

from .figures import Figure, at_least, at_most, show
from .plain_torch import Plain, edges_of

SIZE, TEXTURE_SIZE, CHANNELS, ATTRIBUTES, RINGS, REPEATS = 512, 1024, 4, 8, 142, 15
POINTS = 160_000

# Milliseconds wanted on two cores: forward, and backward alone.
WANTED: dict[str, tuple[float, float | None]] = {
    "rasterize": (6, None),
    "interpolate, 8 attributes": (1.5, 4),
    "texture, trilinear, given mip levels": (3, 9),
    "antialias": (4, 4),
    "sample_texture, 160 000 lookups": (20, 20),
}
TIMES_FASTER = 3  # than plain torch, forward with backward


def sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Clip-space positions [1, V, 4] and triangles [T, 3]."""
    polar, around = np.meshgrid(
        np.linspace(0, np.pi, RINGS + 1), np.linspace(0, 2 * np.pi, 2 * RINGS + 1), indexing="ij"
    )
    points = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1).reshape(
        -1, 3
    )
    points *= 1 + 0.1 * np.sin(7 * points[:, :1]) * np.sin(5 * points[:, 1:2])
    row = 2 * RINGS + 1
    corner = (np.arange(RINGS)[:, None] * row + np.arange(2 * RINGS)).reshape(-1)
    lower, upper = (corner, corner + row, corner + 1), (corner + 1, corner + row, corner + row + 1)
    triangles = np.stack([np.stack(lower, 1), np.stack(upper, 1)], 1).reshape(-1, 3)
    near, far, depth = 0.1, 100.0, 2.6 - points[:, 2]
    z = (far + near) / (far - near) * depth - 2 * far * near / (far - near)
    clip = np.stack([2.4 * points[:, 0], 2.4 * points[:, 1], z, depth], 1)
    return torch.tensor(clip[None], dtype=torch.float32), torch.tensor(triangles, dtype=torch.int32)


def cost(call: Callable[[], object]) -> tuple[float, float]:
    """Best wall-clock and best processor time of a call in milliseconds."""
    call()
    wall, processor = [], []
    for _ in range(REPEATS):
        start, busy = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - busy)
    return 1000 * min(wall), 1000 * min(processor)


def backward(call: Callable[[], torch.Tensor], *inputs: torch.Tensor) -> Callable[[], object]:
    """Backward alone, for an output gradient of ones."""
    out = call()
    ones = torch.ones_like(out)
    return lambda: torch.autograd.grad(out, inputs, ones, retain_graph=True)


def agree(name: str, ours: torch.Tensor, plain: torch.Tensor, tolerance: float, share: float = 0.0) -> None:
    """AssertionError if more than a share of the values differ: the comparison would be worth nothing."""
    differing = float(((ours - plain).abs() > tolerance).float().mean())
    assert differing <= share, f"{name}: {differing:.2%} of the values differ from plain torch"


def measure() -> list[Figure]:
    """Time all ops; print the table; figures for those that have a wanted time."""
    generator = torch.Generator().manual_seed(0)
    pos, tri = sphere()
    ctx, resolution = RasterizeContext("cpu"), (SIZE, SIZE)
    plain = Plain(tri, resolution)
    rast, rast_db = rasterize(ctx, pos, tri, resolution)
    # coverage of snapped against unsnapped vertices: some pixels on edges differ
    agree("rasterize", rast[..., 3], plain.rasterize(pos)[..., 3], 0.5, share=0.03)
    attr = torch.rand(1, pos.shape[1], ATTRIBUTES, generator=generator)
    uv, uv_da = interpolate(pos[..., :2] * 0.15 + 0.5, rast, tri, rast_db, "all")
    tex = torch.rand(1, TEXTURE_SIZE, TEXTURE_SIZE, CHANNELS, generator=generator)
    mip = texture_construct_mip(tex)
    levels = plain.mip_levels(tex)
    color = torch.rand(1, SIZE, SIZE, 3, generator=generator)
    points = torch.rand(POINTS, 2, generator=generator).sort(0).values
    shared = edges_of(tri)
    p, a, t, c = (x.clone().requires_grad_() for x in (pos, attr, tex, color))
    flat = tex[0].clone().requires_grad_()
    agree("interpolate", interpolate(attr, rast, tri)[0], plain.interpolate(attr, rast), 1e-4)
    agree("texture", texture(tex, uv, uv_da, mip=mip), plain.trilinear(levels, uv, uv_da), 1e-3, share=1e-3)
    agree("antialias", antialias(color, rast, pos, tri), plain.antialias(color, rast, pos, shared), 1e-3, share=1e-3)
    agree("sample_texture", sample_texture(tex[0], points, "EXTEND"), plain.sample(tex[0], points), 1e-3)

    cases: dict[str, tuple[Callable[[], torch.Tensor], Callable[[], torch.Tensor], tuple[torch.Tensor, ...]]] = {
        "rasterize": (
            lambda: rasterize(ctx, p, tri, resolution)[0],
            lambda: plain.rasterize(p),
            (p,),
        ),
        "interpolate, 8 attributes": (
            lambda: interpolate(a, rast, tri)[0],
            lambda: plain.interpolate(a, rast),
            (a,),
        ),
        "texture, trilinear, given mip levels": (
            lambda: texture(t, uv, uv_da, mip=mip),
            lambda: plain.trilinear([t, *levels[1:]], uv, uv_da),
            (t,),
        ),
        "texture, trilinear": (
            lambda: texture(t, uv, uv_da),
            lambda: plain.trilinear(plain.mip_levels(t), uv, uv_da),
            (t,),
        ),
        "antialias": (
            lambda: antialias(c, rast, p, tri),
            lambda: plain.antialias(c, rast, p, shared),
            (c, p),
        ),
        "sample_texture, 160 000 lookups": (
            lambda: sample_texture(flat, points, "EXTEND"),
            lambda: plain.sample(flat, points),
            (flat,),
        ),
    }
    print(f"  {tri.shape[0]} triangles, {float((rast[..., 3] > 0).float().mean()):.0%} of {SIZE}x{SIZE} pixels covered")
    print(f"  {'milliseconds: wall (processor)':38s} {'forward':>16s} {'torch':>16s} {'backward':>16s} {'torch':>16s}")
    figures = []
    for name, (ours, torchs, inputs) in cases.items():
        timings = [cost(f) for f in (ours, torchs, backward(ours, *inputs), backward(torchs, *inputs))]
        cells = " ".join(f"{f'{wall:.1f} ({processor:.1f})':>16s}" for wall, processor in timings)
        print(f"  {name:38s} {cells}", flush=True)
        ours_forward, torch_forward, ours_backward, torch_backward = timings
        for wanted, (wall, _), what in zip(
            WANTED.get(name, (None, None)), (ours_forward, ours_backward), ("", ", backward"), strict=True
        ):
            if wanted is not None:
                figures.append(at_most(name + what, wall, wanted, "ms"))
        # processor time: what else runs on the machine does not change the ratio
        faster = (torch_forward[1] + torch_backward[1]) / (ours_forward[1] + ours_backward[1])
        figures.append(at_least(f"{name}, forward and backward: faster than plain torch", faster, TIMES_FASTER, "x"))
    return show(figures)


if __name__ == "__main__":
    measure()
