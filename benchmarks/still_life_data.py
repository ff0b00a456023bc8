# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the data of the six-photo benchmark once: photos by Cycles, start scenes and true maps, in a cache folder."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from scipy.interpolate import RegularGridInterpolator

from tests.scenes import build, cycles, still_life

from .figures import CACHE

FOLDER = CACHE / "six_photos"
SIZE = 512
SAMPLES = 256  # leaves about 44 dB of noise in the 8-bit picture
SEEN_SIZE = 256  # side of the map of seen texels

README = """Six-photo benchmark: data made by benchmarks/still_life_data.py; delete the folder to make it anew.

photos/<camera>.png      six photos 512x512, 8 bit, AgX, full light transport, {samples} samples a pixel
held_out/<camera>.png    three more for judging
truth.blend              the scene that was photographed
start.blend              the same with the grey start material "Glaze"; light and world are true
start_unknown_light.blend  also the light "Key" and the strength of the world are a neutral guess
truth.npz                base_color [1024, 1024, 3] linear, roughness and metallic [1024, 1024], used (surface), all
                         row 0 at the bottom; seen [256, 256]: texels that at least one photo sees well
Cameras are called "View 1" … "View 6" and "Held out 1" … "Held out 3"; the table's material is known.
"""


def prepare(folder: Path = FOLDER, samples: int = SAMPLES) -> Path:
    """Make whatever is missing in ``folder`` and return it. Rendering takes minutes."""
    for name in ("photos", "held_out"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(README.format(samples=samples), encoding="utf-8")
    if not (folder / "truth.npz").exists():
        save_scenes(folder, samples)
    views = [("photos", name) for name in still_life.CAMERAS] + [("held_out", name) for name in still_life.HELD_OUT]
    missing = [(kind, name) for kind, name in views if not (folder / kind / f"{name}.png").exists()]
    if missing:
        scene = _scene(still_life.true_maps(), samples)
        for kind, name in missing:
            unfinished = folder / kind / f"{name}.part.png"
            cycles.render_photo(scene, bpy.data.objects[name], unfinished)
            unfinished.rename(folder / kind / f"{name}.png")
    return folder


def save_scenes(folder: Path, samples: int = SAMPLES) -> None:
    """Write truth, start scenes and true maps."""
    maps = still_life.true_maps()
    _scene(maps, samples)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "truth.blend"))
    scene = _scene(None, samples)
    seen = seen_texels([bpy.data.objects[name] for name in still_life.CAMERAS], SEEN_SIZE)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "start.blend"))
    key = bpy.data.lights["Key"]
    key.energy, key.color = 100.0, (1.0, 1.0, 1.0)
    build.set_world(scene, strength=0.5, image=bpy.data.images["Studio"])
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "start_unknown_light.blend"))
    np.savez_compressed(
        folder / "truth.npz",
        base_color=maps.base_color.astype(np.float32),
        roughness=maps.roughness.astype(np.float32),
        metallic=maps.metallic.astype(np.float32),
        used=maps.used,
        seen=seen,
    )


def pot_mask(camera: bpy.types.Object, size: int = SIZE) -> np.ndarray:
    """Pixels [size, size] of the opened scene whose centre shows the pot, row 0 at the bottom."""
    tree = BVHTree.FromObject(bpy.data.objects[still_life.POT], bpy.context.evaluated_depsgraph_get())
    half = camera.data.sensor_width / (2 * camera.data.lens)
    centre = ((np.arange(size) + 0.5) / size * 2 - 1) * half
    turn = camera.matrix_world.to_3x3()
    return np.array(
        [[tree.ray_cast(camera.location, turn @ Vector((x, y, -1.0)))[0] is not None for x in centre] for y in centre]
    )


def seen_texels(cameras: list[bpy.types.Object], size: int) -> np.ndarray:
    """Which texels of the pot [size, size] at least one camera sees, unhidden and not at a grazing angle."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    tree = BVHTree.FromObject(bpy.data.objects[still_life.POT], depsgraph)
    seen = np.zeros((size, size), bool)
    rectangles = (still_life.BODY, still_life.LID, *still_life.HANDLES)
    for (u0, v0, u1, v1), points in zip(rectangles, still_life.pot_points(), strict=True):
        wrapped = np.concatenate([points, points[:, :1]], axis=1)
        surface = RegularGridInterpolator(
            (np.linspace(0, 1, wrapped.shape[0]), np.linspace(0, 1, wrapped.shape[1])), wrapped
        )
        for i in range(size):
            for j in range(size):
                s, t = ((j + 0.5) / size - u0) / (u1 - u0), ((i + 0.5) / size - v0) / (v1 - v0)
                if 0 <= s <= 1 and 0 <= t <= 1:
                    seen[i, j] = _visible(tree, Vector(surface((t, s)).ravel()), cameras)
    return seen


def _visible(tree: BVHTree, point: Vector, cameras: list[bpy.types.Object]) -> bool:
    """Whether a camera has free sight of ``point`` at less than 75° to the surface; all of the pot is in frame."""
    for camera in cameras:
        towards = (camera.location - point).normalized()
        hit, normal, _, _ = tree.ray_cast(camera.location, -towards)
        if hit is not None and (hit - point).length < 0.01 and normal.dot(towards) > 0.26:
            return True
    return False


def _scene(maps: still_life.Maps | None, samples: int) -> bpy.types.Scene:
    scene = still_life.build_still_life(maps)
    cycles.reference_settings(scene, SIZE, SIZE, samples, direct_only=False)
    return scene


if __name__ == "__main__":
    print(prepare())
