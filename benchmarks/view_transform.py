# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the view transforms take: forward and backward of one 640 x 480 picture, the fastest of several runs.

python benchmarks/view_transform.py CONFIG.ocio [--device cpu]
"""

from __future__ import annotations

import argparse
import time

import torch

from likeness.engine.color import ViewTransform
from likeness.engine.scene import ViewSettings

VIEWS = [("Standard", "None"), ("AgX", "None"), ("AgX", "AgX - High Contrast"), ("Filmic", "None")]
WIDTH, HEIGHT, RUNS = 640, 480, 15


def picture(device: str) -> torch.Tensor:
    """Smooth colours over ten stops, as coherent as a render."""
    x, y = torch.linspace(0, 1, WIDTH), torch.linspace(0, 1, HEIGHT)[:, None]
    stops = torch.stack([-6 + 8 * x + 2 * y, -6 + 10 * x + 0 * y, -6 + 6 * x + 4 * y], -1)
    return torch.exp2(stops).to(device)


def now(tensor: torch.Tensor) -> float:
    """Milliseconds, after everything that the tensor's device was asked for."""
    if tensor.is_cuda:
        torch.cuda.synchronize()
    return 1e3 * time.perf_counter()


def fastest(transform: ViewTransform, rgb: torch.Tensor) -> tuple[float, float]:
    """Forward and backward time in milliseconds."""
    rgb = rgb.requires_grad_()
    best = [float("inf")] * 2
    for _ in range(RUNS):
        start = now(rgb)
        out = transform(rgb)
        middle = now(rgb)
        out.sum().backward()
        best = [min(best[0], middle - start), min(best[1], now(rgb) - middle)]
    return best[0], best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="Blender's datafiles/colormanagement/config.ocio")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    rgb = picture(arguments.device)
    print(f"{WIDTH} x {HEIGHT} pixels on {arguments.device}, milliseconds")
    print(f"{'view':24}{'look':24}{'forward':>10}{'backward':>10}")
    for view, look in VIEWS:
        settings = ViewSettings(view, look, config_path=arguments.config)
        forward, backward = fastest(ViewTransform(settings, arguments.device), rgb.clone())
        print(f"{view:24}{look:24}{forward:10.1f}{backward:10.1f}")


if __name__ == "__main__":
    main()
