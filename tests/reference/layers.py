# SPDX-License-Identifier: GPL-3.0-or-later
"""Coat and sheen on the Principled base in numpy float64, beside principled.py and in its manner.

Formulas: docs/blender-image-formation.md §3.1 and §3.4. Without the shadowing that a normal map casts (§3.6).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import RegularGridInterpolator

from likeness.engine.shading.tables import energy_tables, sheen_table

from .principled import Array, Principled, dielectric_fresnel, dot, evaluate, ggx_core


@dataclass
class LayeredSockets:
    """Socket values; each may also be an array that broadcasts against the directions."""

    coat_weight: ArrayLike = 0.0
    coat_roughness: ArrayLike = 0.03
    coat_ior: ArrayLike = 1.5
    coat_tint: ArrayLike = field(default_factory=lambda: np.ones(3))
    sheen_weight: ArrayLike = 0.0
    sheen_roughness: ArrayLike = 0.5
    sheen_tint: ArrayLike = field(default_factory=lambda: np.ones(3))


def _table(values: np.ndarray, *arguments: Array) -> Array:
    axes = [np.linspace(0.0, 1.0, count) for count in values.shape[: len(arguments)]]
    points = np.stack(np.broadcast_arrays(*(np.clip(x, 0.0, 1.0) for x in arguments)), axis=-1)
    return RegularGridInterpolator(axes, values.astype(np.float64))(points)


def _unit(v: Array) -> Array:
    return v / np.sqrt(dot(v, v))[..., None]


def sheen_terms(s: LayeredSockets, normal: Array, view: Array, light: Array) -> tuple[Array, Array]:
    """f·cos of the sheen [..., 3] and the share [...] that it leaves below; the normal is its own."""
    a, b, r = np.moveaxis(_table(sheen_table(), np.asarray(s.sheen_roughness), dot(normal, view)), -1, 0)
    x = _unit(view - dot(normal, view)[..., None] * normal)
    y = np.cross(normal, x)
    px, py, pz = dot(x, light), dot(y, light), dot(normal, light)
    length2 = (a * px + b * pz) ** 2 + (a * py) ** 2 + pz * pz
    lobe = np.where(pz > 0.0, pz / np.pi * (a / length2) ** 2, 0.0)
    weight = np.asarray(s.sheen_weight)[..., None] * np.asarray(s.sheen_tint) * r[..., None]
    return weight * lobe[..., None], 1.0 - weight.max(axis=-1)


def coat_terms(s: LayeredSockets, normal: Array, view: Array, light: Array) -> tuple[Array, Array]:
    """f·cos of the coat [...] and the share [..., 3] that it leaves below."""
    tables = energy_tables()
    c, roughness, eta = (np.asarray(x, np.float64) for x in (s.coat_weight, s.coat_roughness, s.coat_ior))
    nv, hv = dot(normal, view), dot(_unit(view + light), view)
    e, average = _table(tables.E, roughness, nv), _table(tables.E_avg, roughness)
    fss = (eta - 1.0) / (4.08567 + 1.00071 * eta)
    missing = (1.0 - e) / e
    gain = 1.0 + fss * average / (1.0 - fss * (1.0 - average)) * missing
    f0 = ((eta - 1.0) / (eta + 1.0)) ** 2
    albedo = f0 + (1.0 - f0) * _table(tables.S, roughness, nv, np.sqrt((eta - 1.0) / (eta + 1.0)))
    through = 1.0 - c * gain / (1.0 + missing) * albedo
    path = 1.0 / np.sqrt(1.0 - (1.0 - nv * nv) / (eta * eta))
    tint = 1.0 - c[..., None] + c[..., None] * np.asarray(s.coat_tint) ** path[..., None]
    lobe = c * gain * ggx_core(normal, view, light, roughness) * dielectric_fresnel(hv, eta)
    return lobe, through[..., None] * tint


def evaluate_layered(
    s: LayeredSockets, base: Principled, normal: Array, smooth: Array, view: Array, light: Array
) -> tuple[Array, Array]:
    """f·cos [..., 3] of base and layers, and the share [..., 3] of the base's emission that is seen.

    `normal` is that of base and sheen, `smooth` that of the coat.
    """
    mix = np.asarray(s.coat_weight)[..., None]
    sheen, above = sheen_terms(s, _unit(normal * (1.0 - mix) + smooth * mix), view, light)
    coat, below = coat_terms(s, smooth, view, light)
    below = below * above[..., None]
    return sheen + (above * coat)[..., None] + below * evaluate(base, normal, view, light), below
