# SPDX-License-Identifier: GPL-3.0-or-later
"""Energy tables of the GGX lobe, for multi-scatter compensation and for layering diffuse under a dielectric, and the
shape of the sheen lobe.

The tables are defined by sampling visible normals of a Smith GGX lobe with ``alpha = roughness²`` (Heitz 2018,
"Sampling the GGX Distribution of Visible Normals"; height-correlated masking-shadowing, Heitz 2014). They are loaded
from ``tables.npz`` beside this module; ``python -m likeness.engine.shading.tables`` makes that file anew.

Every axis has its nodes at i / (n - 1) over [0, 1]; look up bi- or trilinearly with arguments clamped to [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

_FILE = Path(__file__).with_suffix(".npz")
_SHEEN_FILE = Path(__file__).with_name("sheen.npz")
_SMALLEST = 1e-4  # roughness, cosine and z of the first node; the lobe is undefined at exactly zero
_LARGEST_Z = 0.99  # z = 1 is an infinite index of refraction


@dataclass(frozen=True)
class EnergyTables:
    """Directional and mean albedo of a GGX lobe, and the mean Fresnel weight of a dielectric under it.

    ``E[rough, nv]`` [32, 32]: share of the light from a white (F = 1) lobe that leaves after one reflection.
    ``E_avg[rough]`` [32]: its cosine-weighted mean, ∫ 2µ E(r, µ) dµ.
    ``S[rough, nv, z]`` [16, 16, 16]: mean of (F - F0) / (1 - F0) over the visible normals; F0 = z⁴, that is
    z = √(|ior - 1| / (ior + 1)).
    All float32.
    """

    E: np.ndarray
    E_avg: np.ndarray
    S: np.ndarray


@cache
def energy_tables() -> EnergyTables:
    """The tables as shipped (read once, arrays are read-only)."""
    with np.load(_FILE) as stored:
        arrays = [stored[name] for name in ("E", "E_avg", "S")]
    for array in arrays:
        array.setflags(write=False)
    return EnergyTables(*arrays)


@cache
def sheen_table() -> np.ndarray:
    """Sheen [32, 32, 3] float32: a, b and R (docs/blender-image-formation.md §3.4) for roughness and nv.

    Measured in renders by Cycles with ``python -m tests.scenes.measure_sheen``.
    """
    with np.load(_SHEEN_FILE) as stored:
        table = stored["sheen"]
    table.setflags(write=False)
    return table


def make_energy_tables(samples: int = 8192, fresnel_samples: int = 4096) -> EnergyTables:
    """Compute the tables by quasi-random sampling: ``samples`` a node for E, ``fresnel_samples`` for S."""
    rough = _nodes(32)
    view = _nodes(32)
    directional = np.empty((32, 32))
    for i, roughness in enumerate(rough):
        alpha = roughness * roughness
        v, h, valid, nl = _sample(alpha, view, samples)
        shadowing = (1.0 + _smith(alpha, v[:, 2, None])) / (1.0 + _smith(alpha, v[:, 2, None]) + _smith(alpha, nl))
        directional[i] = np.where(valid, shadowing, 0.0).mean(axis=1)

    fine = (np.arange(4096) + 0.5) / 4096
    mean = np.array([np.mean(2.0 * fine * np.interp(fine, np.linspace(0, 1, 32), row)) for row in directional])

    rough, view, z = _nodes(16), _nodes(16), np.minimum(_nodes(16), _LARGEST_Z)
    f0 = z**4
    ior = (1.0 + np.sqrt(f0)) / (1.0 - np.sqrt(f0))
    fresnel = np.empty((16, 16, 16))
    for i, roughness in enumerate(rough):
        v, h, valid, _ = _sample(roughness * roughness, view, fresnel_samples)
        hv = np.einsum("nk,nsk->ns", v, h)
        for k in range(16):
            weight = np.clip((_dielectric(hv, ior[k]) - f0[k]) / (1.0 - f0[k]), 0.0, 1.0)
            fresnel[i, :, k] = np.where(valid, weight, 0.0).mean(axis=1)
    return EnergyTables(directional.astype(np.float32), mean.astype(np.float32), fresnel.astype(np.float32))


def _nodes(count: int) -> np.ndarray:
    return np.maximum(np.linspace(0.0, 1.0, count), _SMALLEST)


def _smith(alpha: float, cosine: np.ndarray) -> np.ndarray:
    """Smith Λ of GGX for directions at ``cosine`` to the normal."""
    cosine = np.maximum(cosine, 1e-12)  # directions below the surface are masked out by the caller
    return 0.5 * (np.sqrt(1.0 + alpha * alpha * (1.0 / (cosine * cosine) - 1.0)) - 1.0)


def _dielectric(cosine: np.ndarray, ior: float) -> np.ndarray:
    """Exact unpolarised Fresnel reflectance of a dielectric seen from outside."""
    g = np.sqrt(ior * ior - 1.0 + cosine * cosine)
    a = (g - cosine) / (g + cosine)
    b = (cosine * (g + cosine) - 1.0) / (cosine * (g - cosine) + 1.0)
    return 0.5 * a * a * (1.0 + b * b)


def _sample(alpha: float, nv: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Visible normals for views at cosine ``nv`` [N]: view [N, 3], half vectors [N, count, 3], valid, nl [N, count]."""
    first = (np.arange(count) + 0.5) / count  # rank-1 lattice with the golden ratio
    second = (np.arange(count) * 0.6180339887498949) % 1.0
    v = np.stack([np.sqrt(1.0 - nv * nv), np.zeros_like(nv), nv], axis=-1)
    stretched = v * np.array([alpha, alpha, 1.0])
    stretched /= np.linalg.norm(stretched, axis=-1, keepdims=True)
    side = np.broadcast_to(np.array([0.0, 1.0, 0.0]), v.shape)  # v lies in the xz plane
    up = np.cross(stretched, side)
    radius, phi = np.sqrt(first), 2.0 * np.pi * second
    t1 = radius * np.cos(phi)
    s = 0.5 * (1.0 + stretched[:, 2, None])
    t2 = (1.0 - s) * np.sqrt(1.0 - t1 * t1) + s * radius * np.sin(phi)
    t3 = np.sqrt(np.maximum(0.0, 1.0 - t1 * t1 - t2 * t2))
    h = t1[..., None] * side[:, None] + t2[..., None] * up[:, None] + t3[..., None] * stretched[:, None]
    h *= np.array([alpha, alpha, 1.0])
    h /= np.linalg.norm(h, axis=-1, keepdims=True)
    nl = 2.0 * np.einsum("nk,nsk->ns", v, h) * h[..., 2] - v[:, 2, None]
    return v, h, nl > 0.0, nl


if __name__ == "__main__":
    made = make_energy_tables()
    np.savez_compressed(_FILE, E=made.E, E_avg=made.E_avg, S=made.S)
