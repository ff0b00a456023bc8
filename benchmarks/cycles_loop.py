# SPDX-License-Identifier: GPL-3.0-or-later
"""With and without Cycles in the loop: a painted ball fitted where much of the light is what our renderer leaves out.

Each scene is photographed by Cycles with full light transport and fitted twice, from grey. Held-out views are rendered
by Cycles from the .blend that each fit wrote. ``python -m benchmarks.cycles_loop [scene …]``
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from tests.scenes import build, cycles

from .figures import CACHE, OUTPUT, Figure, at_least, note, psnr, run, show

SIZE, SAMPLES = 128, 400
CAMERAS = {"View 1": (0.0, -4.6, 2.2), "View 2": (-2.4, -3.9, 1.6), "View 3": (2.4, -3.9, 3.0)}
HELD_OUT = {"Held out 1": (-1.2, -4.4, 2.9), "Held out 2": (1.4, -4.4, 1.5)}
PAINT = "Paint"


def _corner(color: build.Vec3, roughness: float = 0.6) -> None:
    """A floor and three walls, open towards the cameras."""
    material = build.add_material("Walls", base_color=color, roughness=roughness, specular_level=0.0)
    for name, location, turn in (
        ("Floor", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ("Back", (0.0, 2.0, 2.0), (np.pi / 2, 0.0, 0.0)),
        ("Left", (-2.0, 0.0, 2.0), (0.0, np.pi / 2, 0.0)),
        ("Right", (2.0, 0.0, 2.0), (0.0, -np.pi / 2, 0.0)),
    ):
        build.add_plane(name, material, 4.0, location).rotation_euler = turn


def _ball(**look: float) -> None:
    y, x = np.meshgrid(*[(np.arange(64) + 0.5) / 64] * 2, indexing="ij")
    stripes = np.floor(x * 8 + np.sin(6 * y)) % 2
    colors = np.where(stripes[..., None] > 0, np.array([0.75, 0.2, 0.1]), np.array([0.15, 0.45, 0.6]))
    colors = np.where((y[..., None] * 8 % 4) < 1, np.array([0.8, 0.7, 0.3]), colors)
    image = build.add_image("Paint", build.encode_srgb(colors), "sRGB")
    build.add_sphere(
        "Ball", build.add_material(PAINT, maps={"base_color": image}, roughness=0.5, **look), 0.9, (0, 0, 0.9)
    )


def _lamp(energy: float) -> None:
    build.add_light("AREA", (0.5, -1.0, 3.8), (0.0, 0.0, 0.5), energy=energy, shape="SQUARE", size=1.0)


def interreflection() -> None:
    """A bright room: most light comes by way of several walls."""
    _corner((0.85, 0.82, 0.7))
    _ball()
    _lamp(70.0)


def glass() -> None:
    """A pane of glass before the ball and a glass ball beside it."""
    _corner((0.5, 0.5, 0.5))
    _ball()
    look = {"base_color": (0.95, 1.0, 0.95), "roughness": 0.0, "ior": 1.45}
    glass_like = build.add_material("Glass", transmission=1.0, **look)
    build.add_sphere("Marble", glass_like, 0.45, (0.75, -1.1, 0.45))
    _lamp(110.0)
    build.set_world(bpy.context.scene, strength=0.2)


def subsurface() -> None:
    """The ball is of wax under its paint."""
    _corner((0.5, 0.5, 0.5))
    _ball(subsurface=0.8, subsurface_scale=0.35)
    _lamp(110.0)
    build.set_world(bpy.context.scene, strength=0.2)


def plain() -> None:
    """Nothing that our renderer does not know."""
    build.add_plane("Floor", build.add_material("Floor", base_color=(0.2, 0.2, 0.2), roughness=0.6))
    _ball()
    _lamp(140.0)
    build.set_world(bpy.context.scene, strength=0.3)


@dataclass(frozen=True)
class Scene:
    """A scene and by how many decibels the loop must help: at least so much, or hurt by no more where negative."""

    build: Callable[[], None]
    gain: float


SCENES = {
    "interreflection": Scene(interreflection, 3.0),
    "glass": Scene(glass, 3.0),
    "subsurface": Scene(subsurface, 3.0),
    "plain": Scene(plain, -0.2),
}


def prepare(name: str) -> Path:
    """The scene's folder: photos, held-out photos and start.blend, in which the paint is grey."""
    folder = CACHE / "cycles_loop" / name
    if (folder / "start.blend").exists():
        return folder
    scene = build.new_scene("AgX")
    SCENES[name].build()
    for camera, place in (CAMERAS | HELD_OUT).items():
        build.add_camera(camera, place, (0.0, 0.0, 0.85), lens=40.0)
    cycles.reference_settings(scene, SIZE, SIZE, SAMPLES, direct_only=False)
    scene.cycles.diffuse_bounces = scene.cycles.glossy_bounces = 8
    for camera in CAMERAS | HELD_OUT:
        cycles.render_photo(scene, bpy.data.objects[camera], folder / f"{camera}.png")
    shader = next(n for n in bpy.data.materials[PAINT].node_tree.nodes if n.type == "BSDF_PRINCIPLED")
    tree = bpy.data.materials[PAINT].node_tree
    for link in list(shader.inputs["Base Color"].links):
        tree.links.remove(link)
    shader.inputs["Base Color"].default_value = (0.5, 0.5, 0.5, 1.0)
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "start.blend"))
    return folder


def fit(folder: Path, output: Path, *options: str) -> float:
    """Fit base colour with more ``options`` of the command line; returns the minutes."""
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "likeness", "fit", str(folder / "start.blend"), "--fit", f"base_color@{PAINT}"]
    for camera in CAMERAS:
        command += ["--photo", f"{camera}={folder / camera}.png"]
    command += ["--texture-size", "256", "--output", str(output / "fitted.blend"), "--report", str(output / "report")]
    return run([*command, *options]).seconds / 60


def held_out(folder: Path, blend: Path) -> float:
    """Mean PSNR of the held-out views."""
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    found = []
    for name in HELD_OUT:
        bpy.context.scene.cycles.seed = 1
        path = blend.parent / f"{name}.png"
        cycles.render_photo(bpy.context.scene, bpy.data.objects[name], path)
        found.append(psnr(cycles.load_pixels(path)[..., :3], cycles.load_pixels(folder / f"{name}.png")[..., :3]))
    return float(np.mean(found))


def measure(names: list[str] | None = None) -> list[Figure]:
    """A pair of fits for each scene, or for those named."""
    figures = []
    for name in names or SCENES:
        folder, output = prepare(name), OUTPUT / "cycles_loop" / name
        scores, minutes = {}, {}
        for kind, option in (("without", "--no-cycles"), ("with", "--cycles")):
            minutes[kind] = fit(folder, output / kind, option)
            scores[kind] = held_out(folder, output / kind / "fitted.blend")
        detail = ", ".join(f"{kind} {scores[kind]:.1f} dB in {minutes[kind]:.1f} min" for kind in scores)
        gain = scores["with"] - scores["without"]
        figures += show(
            [at_least(f"{name}: gain by Cycles in the loop", gain, SCENES[name].gain, "dB"), note(name, detail)]
        )
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])
