# SPDX-License-Identifier: GPL-3.0-or-later
"""What lets light through, looked up in a scene's materials for transparency.py."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F

from .geometry import Geometry
from .materials import MaterialBank
from .rays import RayTracer
from .scene import Film, Material
from .transparency import Glass, Openness, Transparency, TransparentTracer, is_transparent
from .view import DeviceGeometry


def tracer_of(geometry: Geometry, corners: DeviceGeometry, bank: MaterialBank, film: Film) -> RayTracer:
    """The geometry's tracer; one that passes transparent surfaces where a scene has any."""
    used = set(np.unique(geometry.material).tolist())
    rows = [row for row, material in enumerate(bank.materials) if row in used and is_transparent(material)]
    if not rows and geometry.unseen is None:
        return geometry.rays
    unseen = None if geometry.unseen is None else torch.from_numpy(geometry.unseen).to(geometry.device)
    lookup, normals = partial(_openness, bank, corners), partial(_normals, corners)
    tints = any(_tints(bank.materials[row]) for row in rows)
    epsilon, most = geometry.arrays.epsilon, film.transparent_bounces
    transparency = Transparency(corners.material, rows, lookup, normals, epsilon, most, unseen, tints, film.caustics)
    return TransparentTracer(geometry.rays, transparency)


def _tints(material: Material) -> bool:
    glass = material.transmission.texture is not None or bool(material.transmission.value.any())
    coloured = material.base_color.texture is not None or bool(np.ptp(material.base_color.value) > 0)
    return bool(np.ptp(material.transparent_color) > 0) or (glass and coloured)


def _openness(
    bank: MaterialBank, corners: DeviceGeometry, row: int, face: torch.Tensor, weights: torch.Tensor
) -> Openness:
    material = bank.materials[row]
    at = partial(bank.socket_at, geometry=corners, face=face, weights=weights)
    alpha = at(material.alpha, 1)[:, 0].clamp(0.0, 1.0)
    tint = torch.tensor(material.transparent_color, dtype=torch.float32, device=alpha.device).expand(len(face), 3)
    if material.transmission.texture is None and not material.transmission.value.any():
        return Openness(alpha, tint)
    metallic = at(material.metallic, 1)[:, 0].clamp(0.0, 1.0)
    glass = at(material.transmission, 1)[:, 0].clamp(0.0, 1.0) * (1.0 - metallic)
    # light crosses two surfaces of a body, each of which takes half of its colour
    color = at(material.base_color, 3).clamp(0.0, 1.0).sqrt()
    ior, roughness = at(material.ior, 1)[:, 0].clamp(min=1.0), at(material.roughness, 1)[:, 0].clamp(0.0, 1.0)
    return Openness(alpha, tint, Glass(glass, color, ior, roughness))


def _normals(corners: DeviceGeometry, face: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    p0, p1, p2 = corners.corners[face].unbind(1)
    geometric = F.normalize(torch.linalg.cross(p1 - p0, p2 - p0), dim=1)
    smooth = F.normalize((corners.normals[face] * weights[:, :, None]).sum(1), dim=1)
    return smooth, geometric
