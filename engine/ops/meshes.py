# SPDX-License-Identifier: GPL-3.0-or-later
"""Many meshes of different sizes in one call, without padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .checks import check_tensor, check_triangles


def pack_meshes(
    meshes: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``(pos, tri, ranges)`` for the range mode of the ops, one image for each of ``meshes``.

    A mesh is (clip-space positions float32 [V_i, 4], triangles int32 [T_i, 3]); sizes may differ, and the same mesh may
    come several times as seen from several views. ``pos`` [sum of V_i, 4] is differentiable in the positions of all of
    them, ``tri`` [sum of T_i, 3], ``ranges`` [N, 2]. Attributes for :func:`interpolate` are joined in the same order:
    ``torch.cat(attributes)``.
    """
    if not len(meshes):
        raise ValueError("meshes must hold at least one mesh")
    positions, triangles, spans = [], [], []
    vertices = count = 0
    for number, (pos, tri) in enumerate(meshes):
        pos = check_tensor(f"pos of mesh {number}", pos, (None, 4))
        tri = check_triangles(tri, pos.shape[0], pos.device)
        positions.append(pos)
        triangles.append(tri + vertices)
        spans.append((count, len(tri)))
        vertices, count = vertices + len(pos), count + len(tri)
    return torch.cat(positions), torch.cat(triangles), torch.tensor(spans, dtype=torch.int32)
