# SPDX-License-Identifier: GPL-3.0-or-later
"""Six photos of a painted pot with metal parts: fit its material from grey, judge it on views that were kept out.

Once with the true light, once with light power, light colour and strength of the surroundings unknown. Held-out views
are rendered by Cycles from the .blend that the fit wrote. ``python -m benchmarks.six_photos [known|unknown]``
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np

from likeness.bridge.read_scene import read_scene
from likeness.engine.scene import Scene, Socket
from tests.scenes import cycles, still_life

from .figures import OUTPUT, Figure, at_least, at_most, note, psnr, run, show
from .still_life_data import SIZE, pot_mask, prepare

RENDER_SAMPLES = 96


def fit(data: Path, start: str, output: Path, targets: list[str]) -> list[Figure]:
    """Run ``likeness fit`` on the six photos; time and memory."""
    command = [sys.executable, "-m", "likeness", "fit", str(data / start)]
    for camera in still_life.CAMERAS:
        command += ["--photo", f"{camera}={data / 'photos' / camera}.png"]
    for target in targets:
        command += ["--fit", target]
    output.mkdir(parents=True, exist_ok=True)
    done = run([*command, "--output", str(output / "fitted.blend"), "--report", str(output / "report")])
    return [
        at_most("time from start to written file", done.seconds / 60, 8, "min"),
        at_most("peak memory", done.peak_gib, 3, "GiB", 2),
    ]


def held_out(data: Path, blend: Path) -> tuple[float, float]:
    """Mean PSNR of the held-out views rendered by Cycles from ``blend``: whole picture, and the pot alone."""
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    cycles.reference_settings(scene, SIZE, SIZE, RENDER_SAMPLES, direct_only=False, seed=1)
    whole, pot = [], []
    for name in still_life.HELD_OUT:
        camera = bpy.data.objects[name]
        path = blend.parent / f"{name}.png"
        cycles.render_photo(scene, camera, path)
        found = cycles.load_pixels(path)[..., :3]
        photo = cycles.load_pixels(data / "held_out" / f"{name}.png")[..., :3]
        whole.append(psnr(found, photo))
        pot.append(psnr(found, photo, pot_mask(camera)))
    return float(np.mean(whole)), float(np.mean(pot))


def map_values(scene: Scene, socket: Socket, size: int) -> np.ndarray:
    """What a socket holds on a grid of ``size``² texels [size, size, C], decoded."""
    if socket.texture is None:
        return np.broadcast_to(socket.value, (size, size, len(socket.value)))
    image = scene.images[socket.texture.image]
    pixels = image.pixels[..., : len(socket.value)]
    if image.encoding == "sRGB":
        pixels = np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)
    factor = size // pixels.shape[0]
    if pixels.shape[0] * factor != size or pixels.shape[0] != pixels.shape[1]:
        raise ValueError(f"a fitted map of {pixels.shape[:2]} cannot be compared with a truth of {size}²")
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)


def material_errors(data: Path, blend: Path) -> tuple[float, float, float]:
    """Base colour PSNR (linear), mean absolute errors of roughness and metallic, on the texels that were seen."""
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = read_scene(bpy.context.scene)
    material = scene.materials[still_life.GLAZE]
    with np.load(data / "truth.npz") as truth:
        base, roughness, metallic, used, seen = (
            truth[name] for name in ("base_color", "roughness", "metallic", "used", "seen")
        )
    size = len(base)
    seen = np.kron(seen, np.ones((size // len(seen),) * 2, bool)) & used
    errors = [
        np.abs(map_values(scene, socket, size)[seen][:, 0] - truth[seen]).mean()
        for socket, truth in ((material.roughness, roughness), (material.metallic, metallic))
    ]
    return psnr(map_values(scene, material.base_color, size), base, seen), float(errors[0]), float(errors[1])


def measure(variants: list[str] | None = None) -> list[Figure]:
    """Both variants, or those named."""
    data = prepare()
    material = [f"{kind}@{still_life.GLAZE}" for kind in ("base_color", "roughness", "metallic")]
    figures = []
    for name, start, targets, wanted in (
        ("known", "start.blend", material, 32),
        ("unknown", "start_unknown_light.blend", [*material, "lights", "world_strength"], 28),
    ):
        if variants and name not in variants:
            continue
        output = OUTPUT / f"six_photos_{name}"
        subject = f"six photos, {name} light: "
        timing = fit(data, start, output, targets)
        whole, pot = held_out(data, output / "fitted.blend")
        base, roughness, metallic = material_errors(data, output / "fitted.blend")
        found = [
            at_least("held-out views", whole, wanted, "dB"),
            note("held-out views, pot alone", f"{pot:.1f} dB"),
        ]
        if name == "known":
            found += [
                at_least("base colour, linear, seen texels", base, 26, "dB"),
                at_most("roughness, mean absolute error", roughness, 0.08, "", 3),
                at_most("metallic, mean absolute error", metallic, 0.08, "", 3),
            ]
        else:
            found.append(note("base colour, roughness, metallic", f"{base:.1f} dB, {roughness:.3f}, {metallic:.3f}"))
        for figure in [*found, *timing]:
            figure.what = subject + figure.what
        figures += show([*found, *timing])
    return figures


if __name__ == "__main__":
    measure(sys.argv[1:])
