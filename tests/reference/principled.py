# SPDX-License-Identifier: GPL-3.0-or-later
"""The opaque base of Blender's Principled BSDF in plain numpy float64: slow, obvious, independent of the engine.

Checked against Cycles in tests/reference/test_principled.py; the engine's kernels are checked against this. Formulas:
docs/blender-image-formation.md §3.1, read in Cycles 5.0 and restated. Directions are unit vectors [..., 3] that point
away from the surface; all colours are scene-linear.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RegularGridInterpolator

from likeness.engine.shading.tables import energy_tables

Array = NDArray[np.float64]


@dataclass
class Principled:
    """Socket values; each may also be an array that broadcasts against the directions."""

    base_color: ArrayLike = field(default_factory=lambda: np.full(3, 0.8))  # [..., 3]
    metallic: ArrayLike = 0.0
    roughness: ArrayLike = 0.5
    ior: ArrayLike = 1.5
    specular_level: ArrayLike = 0.5
    specular_tint: ArrayLike = field(default_factory=lambda: np.ones(3))  # [..., 3]
    multiscatter: bool = True


def dot(a: Array, b: Array) -> Array:
    """Scalar product along the last axis."""
    return np.sum(a * b, axis=-1)


def ggx_core(normal: ArrayLike, view: ArrayLike, light: ArrayLike, roughness: ArrayLike) -> Array:
    """D G2 / (4 nv) of an isotropic GGX lobe with alpha = roughness²; contains the cosine at the light."""
    n, v, w = (np.asarray(x, np.float64) for x in (normal, view, light))
    h = v + w
    h = h / np.sqrt(dot(h, h))[..., None]
    a2 = np.asarray(roughness, np.float64) ** 4
    nv, nl, nh = dot(n, v), dot(n, w), dot(n, h)
    cross = np.cross(n, h)
    distribution = a2 / (np.pi * (dot(cross, cross) + a2 * nh * nh) ** 2)

    def smith(cosine: Array) -> Array:
        return 0.5 * (np.sqrt(1.0 + a2 * (1.0 / cosine**2 - 1.0)) - 1.0)

    with np.errstate(divide="ignore", invalid="ignore"):
        value = distribution / (4.0 * nv * (1.0 + smith(nv) + smith(nl)))
    return np.where((nl > 0.0) & (nv > 0.0), value, 0.0)


def dielectric_fresnel(cosine: ArrayLike, ior: ArrayLike) -> Array:
    """Unpolarised Fresnel reflectance from outside; from inside where ior < 1, with total reflection."""
    c, eta = np.asarray(cosine, np.float64), np.asarray(ior, np.float64)
    squared = eta * eta - 1.0 + c * c
    g = np.sqrt(np.maximum(squared, 0.0))
    parallel = (c * (g + c) - 1.0) / (c * (g - c) + 1.0)
    value = 0.5 * ((g - c) / (g + c)) ** 2 * (1.0 + parallel * parallel)
    return np.where(squared > 0.0, value, 1.0)


@cache
def _lookups() -> tuple[RegularGridInterpolator, RegularGridInterpolator, RegularGridInterpolator]:
    tables = energy_tables()
    fine, coarse = np.linspace(0.0, 1.0, 32), np.linspace(0.0, 1.0, 16)
    return (
        RegularGridInterpolator((fine, fine), tables.E.astype(np.float64)),
        RegularGridInterpolator((fine,), tables.E_avg.astype(np.float64)),
        RegularGridInterpolator((coarse,) * 3, tables.S.astype(np.float64)),
    )


def _energy(fss: Array, roughness: Array, nv: Array, multiscatter: bool) -> tuple[Array, Array]:
    """Gain g of a lobe with mean Fresnel ``fss`` [..., 3], and its factor k on the albedo of the layer."""
    if not multiscatter:
        return np.ones_like(fss), np.ones_like(fss)
    directional, mean, _ = _lookups()
    r, c = np.broadcast_arrays(np.clip(roughness, 0, 1), np.clip(nv, 0, 1))
    e = directional(np.stack([r, c], axis=-1))[..., None]
    average = mean(r[..., None])[..., None]
    missing = (1.0 - e) / e
    multiple = fss * average / (1.0 - fss * (1.0 - average))
    return 1.0 + multiple * missing, (1.0 + multiple * missing) / (1.0 + missing)


def stretched_core(
    normal: Array, view: Array, light: Array, tangent: Array, roughness: ArrayLike, amount: ArrayLike, turn: ArrayLike
) -> tuple[Array, Array]:
    """As ggx_core for an anisotropic lobe, and (alpha_x alpha_y)^(1/4), at which its energy is looked up.

    The tangent is turned about the normal by `turn` in radians.
    """
    alpha, aspect = np.asarray(roughness) ** 2, np.sqrt(1.0 - 0.9 * np.asarray(amount))
    ax, ay = np.minimum(alpha / aspect, 1.0), np.minimum(alpha * aspect, 1.0)
    x = tangent - normal * dot(normal, tangent)[..., None]
    x = x / np.sqrt(dot(x, x))[..., None]
    y = np.cross(normal, x)
    c, s = np.cos(turn)[..., None], np.sin(turn)[..., None]
    x, y = c * x + s * y, c * y - s * x
    h = view + light
    h = h / np.sqrt(dot(h, h))[..., None]
    inner = (dot(x, h) / ax) ** 2 + (dot(y, h) / ay) ** 2 + dot(normal, h) ** 2

    def smith(v: Array) -> Array:
        squared = ((ax * dot(x, v)) ** 2 + (ay * dot(y, v)) ** 2) / dot(normal, v) ** 2
        return 0.5 * (np.sqrt(1.0 + squared) - 1.0)

    core = 1.0 / (np.pi * ax * ay * inner**2) / (4.0 * dot(normal, view) * (1.0 + smith(view) + smith(light)))
    return np.where((dot(normal, light) > 0.0) & (dot(normal, view) > 0.0), core, 0.0), (ax * ay) ** 0.25


def evaluate(
    material: Principled, normal: ArrayLike, view: ArrayLike, light: ArrayLike, core: Array | None = None
) -> Array:
    """f·cos [..., 3] of the Principled base, ior >= 1: metal, dielectric and diffuse, in the layer order of Cycles.

    `core` [...] takes the place of the isotropic lobe of the material's roughness.
    """
    n, v, w = (np.asarray(x, np.float64) for x in (normal, view, light))
    nv, nl = dot(n, v), dot(n, w)
    h = v + w
    h = h / np.sqrt(dot(h, h))[..., None]
    hv = dot(h, v)[..., None]
    roughness = np.clip(np.asarray(material.roughness, np.float64), 0.0, 1.0)
    metallic = np.clip(np.asarray(material.metallic, np.float64), 0.0, 1.0)[..., None]
    base = np.maximum(np.asarray(material.base_color, np.float64), 0.0)
    specular_base = np.minimum(base, 1.0)
    tint = np.asarray(material.specular_tint, np.float64)
    core = (ggx_core(n, v, w, roughness) if core is None else core)[..., None]

    # metal, F82 tint
    edge = (specular_base + (1 - specular_base) * (6 / 7) ** 5) * 7 / (6 / 7) ** 6 * (1 - np.clip(tint, 0, 1))
    fresnel = np.clip(specular_base + (1 - specular_base) * (1 - hv) ** 5 - edge * hv * (1 - hv) ** 6, 0.0, 1.0)
    gain, _ = _energy(specular_base + (1 - specular_base) / 21 - edge / 126, roughness, nv, material.multiscatter)
    result = metallic * gain * core * fresnel
    weight = 1.0 - metallic

    # dielectric reflection
    eta = np.asarray(material.ior, np.float64)
    level = np.asarray(material.specular_level, np.float64)
    scaled = np.minimum(((eta - 1) / (eta + 1)) ** 2 * 2 * level, 0.99)
    eta = np.where(level == 0.5, eta, (1 + np.sqrt(scaled)) / (1 - np.sqrt(scaled)))[..., None]
    f0 = ((eta - 1) / (eta + 1)) ** 2
    f0_color = np.minimum(f0 * tint, 1.0)
    s = np.clip((dielectric_fresnel(hv, eta) - f0) / (1 - f0), 0.0, 1.0)
    mean_real = (eta - 1) / (4.08567 + 1.00071 * eta)
    mean = f0_color + (1 - f0_color) * np.clip((mean_real - f0) / (1 - f0), 0.0, 1.0)
    gain, factor = _energy(mean, roughness, nv, material.multiscatter)
    present = eta != 1.0
    result = result + np.where(present, weight * gain * core * (f0_color + (1 - f0_color) * s), 0.0)

    # what the reflection leaves for the diffuse layer: depends on the view only
    z = np.sqrt(np.abs(eta[..., 0] - 1) / (eta[..., 0] + 1))
    r, c, z = np.broadcast_arrays(roughness, np.clip(nv, 0, 1), np.clip(z, 0, 1))
    albedo = factor * (f0_color + (1 - f0_color) * _lookups()[2](np.stack([r, c, z], axis=-1))[..., None])
    weight = weight * np.where(present, np.clip(1 - albedo.max(axis=-1, keepdims=True), 0.0, 1.0), 1.0)
    return result + weight * base * np.maximum(nl, 0.0)[..., None] / np.pi
