# SPDX-License-Identifier: GPL-3.0-or-later
"""The context argument of rasterize. It only names the device: the rasterizer keeps no state between calls."""

from __future__ import annotations

import torch


class RasterizeContext:
    """Where to rasterize. ``device``: "cpu", "cuda", "cuda:1", a torch.device, or None for the device of ``pos``."""

    def __init__(self, device: str | torch.device | None = None) -> None:
        self.device = None if device is None else torch.empty(0, device=device).device

    def check(self, device: torch.device) -> None:
        """ValueError where the tensors are on another device than this context."""
        if self.device is not None and self.device != device:
            raise ValueError(f"pos is on {device} but ctx was made for {self.device}")


RasterizeCudaContext = RasterizeContext
