# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenes of surfaces beyond the plain Principled base, compared with Cycles without indirect light."""

from __future__ import annotations

from typing import Any

from .catalogue import Case, layered_cases

CHALKS: list[dict[str, Any]] = [
    {"base_color": (0.8, 0.5, 0.3), "diffuse_roughness": 1.0, "roughness": 0.6},
    {"base_color": (0.3, 0.6, 0.8), "diffuse_roughness": 0.5, "roughness": 0.4, "metallic": 0.3},
    {"base_color": (0.9, 0.9, 0.9), "diffuse_roughness": 0.8, "specular_level": 0.0, "coat_weight": 0.4},
]

SURFACE: dict[str, Case] = layered_cases("chalk", CHALKS)
