# SPDX-License-Identifier: GPL-3.0-or-later
"""How the rendering primitives scale: rasterize, interpolate 3 attributes and silhouette_gradient, with backward.

From 5 000 to 1.3 million triangles, from 256² to 2048² pixels and from 1 to 16 views. Memory is the growth of the
process's peak; what the ops keep a pixel (rast, rast_db, keys, colours and their gradients) does not depend on how many
surfaces lie behind it. PyTorch3D's rasterizer keeps 48 bytes a pixel for each of its faces_per_pixel.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import time
from pathlib import Path

from .figures import Figure, note, show

CASES = [
    *[(triangles, 512, 1) for triangles in (5_000, 20_000, 80_000, 320_000, 1_300_000)],
    *[(80_000, size, 1) for size in (256, 1024, 2048)],
    *[(80_000, 512, views) for views in (2, 4, 16)],
]


def one(triangles: int, size: int, views: int) -> dict[str, float]:
    """Milliseconds, and bytes by which the memory of this process grows."""
    import torch

    from likeness.engine import ops
    from tests.engine.ops import dense_meshes

    points, tri = dense_meshes.bent_torus(triangles)
    turns = torch.linspace(0, 0.5, views, dtype=torch.float64)
    still = torch.zeros(7, dtype=torch.float64)
    pos = torch.cat([dense_meshes.moved(points, still + turn) for turn in turns]).requires_grad_(True)
    attr = points[None].float().requires_grad_(True)
    topology = ops.antialias_construct_topology_hash(tri)

    def run(resolution: int) -> None:
        rast, _ = ops.rasterize(ops.RasterizeContext(), pos, tri, (resolution, resolution))
        color, _ = ops.interpolate(attr, rast, tri)
        ops.silhouette_gradient(color, rast, pos, tri, topology).sum().backward()
        pos.grad = attr.grad = None

    run(16)  # compiles the kernels
    before = _memory("VmRSS", forget=True)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run(size)
        times.append(time.perf_counter() - start)
    return {"ms": 1000 * min(times), "bytes": max(_memory("VmHWM") - before, 0.0)}


def _memory(name: str, forget: bool = False) -> float:
    """Bytes resident now (VmRSS) or at most (VmHWM) since the peak was last forgotten; Linux only."""
    if forget:
        ctypes.CDLL(None).malloc_trim(0)  # what the C library keeps of freed memory would hide the growth
        Path("/proc/self/clear_refs").write_text("5")
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return 1024.0 * int(line.split()[1])
    return 0.0


def measure() -> list[Figure]:
    """A line a case; each runs in a process of its own."""
    figures = []
    for triangles, size, views in CASES:
        command = [sys.executable, "-m", "benchmarks.scaling", str(triangles), str(size), str(views)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        pixels = size * size * views
        what = f"{triangles} triangles, {size}², views: {views}"
        text = (
            f"{found['ms']:.0f} ms ({1e6 * found['ms'] / (triangles * views + pixels):.0f} ns a triangle and pixel), "
            f"{found['bytes'] / 2**20:.0f} MiB ({found['bytes'] / pixels:.0f} bytes a pixel)"
        )
        figures += show([note(what, text)])
    return figures


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(*(int(argument) for argument in sys.argv[1:]))))
    else:
        measure()
