# SPDX-License-Identifier: GPL-3.0-or-later
"""Normal maps -> shading normals."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .view import View


def mapped_normal(mapped: torch.Tensor, strength: float, view: View, part: slice) -> torch.Tensor:
    """World-space normals from tangent-space map values in [0, 1] (docs/blender-image-formation.md §3.6)."""
    c = 2.0 * mapped - 1.0
    x, y = c[:, 0:1] * strength, c[:, 1:2] * strength
    z = 1.0 + (c[:, 2:3] - 1.0) * min(max(strength, 0.0), 1.0)
    n, bitangent = view.map_frame(part)
    t = view.tangent[part, :3]
    normal = F.normalize(x * t + y * bitangent + z * n, dim=1, eps=1e-12) * view.side[part, None]
    has_tangent = (t * t).sum(1, keepdim=True) > 0
    return torch.where(has_tangent, normal, view.frames.smooth[part])
