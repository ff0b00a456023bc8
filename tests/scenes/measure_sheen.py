# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the sheen lobe in renders by Cycles and store it as engine/shading/sheen.npz (ten seconds).

The lobe is a linearly transformed cosine (Zeltner, Burley, Chiang 2022): z R / pi (a / len²)², with
len² = a² (1 - z²) + 2 a b x z + (1 + b²) z², z the light's cosine and x its component along the projected view. Under
suns from eight directions that is linear in a / √R, 2 b / √R and (1 + b²) / (a √R), so the three follow by least
squares, to 1e-6. Cycles looks a, b and R up bilinearly; the outermost nodes, where it clamps its arguments or the lobe
degenerates, are extrapolated from the middle of their cell.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import bpy  # noqa: F401  (brings mathutils)
import numpy as np
from mathutils import Matrix, Vector

from likeness.engine.shading import tables

from . import build
from .cycles import render_cycles

NODES = 32
STRENGTH = 100.0
SUNS = [
    (0.0, 0.0, 1.0), (0.5, 0.0, 0.8), (-0.5, 0.0, 0.8), (0.0, 0.6, 0.8),
    (0.85, 0.1, 0.35), (-0.85, 0.1, 0.35), (0.3, 0.9, 0.4), (-0.6, 0.5, 0.6),
]  # fmt: skip


def measure(roughness: np.ndarray, cosines: np.ndarray, suns: np.ndarray) -> np.ndarray:
    """BSDF times cosine [roughness, cosine of the view, sun] of a white sheen on black."""
    scene = build.new_scene()
    scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
    for j, value in enumerate(roughness):  # strips of one roughness each, seen by one pixel each
        look = {"base_color": (0.0, 0.0, 0.0), "specular_level": 0.0, "sheen_weight": 1.0}
        material = build.add_material(f"Strip {j}", **look, sheen_roughness=float(value))
        points = np.array([[(-1e3, y, 0.0), (1e3, y, 0.0)] for y in (j, j + 1)])
        build.add_mesh(f"Strip {j}", [build.grid(points)], [material], smooth=False)
    count = len(roughness)
    light = build.add_light("SUN", (0.0, 0.0, 10.0), energy=STRENGTH, angle=0.0)
    film = {"type": "ORTHO", "ortho_scale": float(count), "sensor_fit": "VERTICAL"}
    camera = build.add_camera("Camera", (0.0, 0.0, 1.0), (0.0, 0.0, 0.0), clip_end=1e4, **film)
    found = np.zeros((count, len(cosines), len(suns)))
    with tempfile.TemporaryDirectory() as folder:
        for i, nv in enumerate(cosines):
            back, up = Vector((math.sqrt(1.0 - nv * nv), 0.0, nv)), Vector((0.0, 1.0, 0.0))
            camera.matrix_world = Matrix((up.cross(back), up, back)).transposed().to_4x4()
            camera.matrix_world.translation = back * 50.0 + up * (count / 2)
            for k, sun in enumerate(suns):
                light.rotation_euler = Vector(-sun).to_track_quat("-Z", "Y").to_euler()
                picture = render_cycles(
                    scene, camera, Path(folder) / "strips.exr", width=1, height=count, samples=1, direct_only=True
                )
                found[:, i, k] = picture[:, 0, 0] / STRENGTH
    return found


def solve(found: np.ndarray, suns: np.ndarray) -> np.ndarray:
    """a, b and R [..., 3] of the measured values [..., sun]; nan where there is too little light to tell."""
    x, _, z = suns.T
    terms = np.stack([1.0 - z * z, x * z, z * z], axis=-1)
    out = np.full((*found.shape[:-1], 3), np.nan)
    for index in np.ndindex(found.shape[:-1]):
        value = found[index]
        seen = value > 1e-9
        if seen.sum() < 4:
            continue
        root = np.sqrt(np.pi * value[seen] / z[seen])
        p = np.linalg.lstsq(terms[seen] * root[:, None], np.ones(seen.sum()), rcond=None)[0]
        scale = 1.0 / math.sqrt(p[0] * p[2] - p[1] * p[1] / 4.0)
        out[index] = p[0] * scale, p[1] * scale / 2.0, scale * scale
    return out


def make_sheen_table() -> np.ndarray:
    """The table [roughness, nv, (a, b, R)] [32, 32, 3] float32."""
    inner = np.arange(1, NODES)
    roughness = np.concatenate([[0.5], inner]) / (NODES - 1)
    cosines = np.concatenate([[0.5], inner[:-1], [NODES - 1.5]]) / (NODES - 1)
    suns = np.array([np.array(sun) / np.linalg.norm(sun) for sun in SUNS])
    table = solve(measure(roughness, cosines, suns), suns)
    table[..., 2] = np.nan_to_num(table[..., 2])
    for row in range(NODES - 2, -1, -1):  # where there is no light any shape will do
        table[row] = np.where(np.isnan(table[row]), table[row + 1], table[row])
    table[0] = 2.0 * table[0] - table[1]
    table[:, 0] = 2.0 * table[:, 0] - table[:, 1]
    table[:, -1] = 2.0 * table[:, -1] - table[:, -2]
    table[..., 0] = np.maximum(table[..., 0], 1e-3)
    table[..., 2] = np.clip(table[..., 2], 0.0, 1.0)
    return table.astype(np.float32)


if __name__ == "__main__":
    np.savez_compressed(Path(tables.__file__).with_name("sheen.npz"), sheen=make_sheen_table())
