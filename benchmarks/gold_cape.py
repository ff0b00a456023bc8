# SPDX-License-Identifier: GPL-3.0-or-later
"""The Mold gold cape: 32 real photos under unknown light; fit 24, judge the 8 that were kept out.

The data is not part of Likeness: set LIKENESS_DATA to the folder that holds gold_cape (photos, masks, mesh.obj,
transforms.json). Held-out views are rendered by Cycles from the .blend that the fit wrote, at 384², and compared
inside the photo's mask. ``python -m benchmarks.gold_cape [option of likeness fit …]``
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np
from PIL import Image

from likeness.bridge import photo_list
from tests.scenes import cycles

from .figures import OUTPUT, ROOT, Figure, at_least, note, psnr, run, show

SIZE = 384
RENDER_SAMPLES = 48
# What the artist knows: it is gold. The rest is fitted.
METALLIC, ROUGHNESS = 1.0, 0.4
TARGETS = ("base_color", "roughness", "normal", "world", "exposure", "white_balance")


def data_folder() -> Path | None:
    """Where the photos are, or None."""
    folder = Path(os.environ.get("LIKENESS_DATA", ROOT.parent / "shared" / "data")) / "gold_cape"
    return folder if (folder / "transforms.json").exists() else None


def exif_stops(data: Path) -> list[float]:
    """How much more light each photo took than the mean of those that are fitted, from time, aperture and ISO."""
    frames = json.loads((data / "transforms.json").read_text(encoding="utf-8"))["frames"]
    stops = np.log2([frame["exposure_time"] * frame["iso"] / frame["f_number"] ** 2 for frame in frames])
    fitted = np.arange(len(frames)) % 4 != 3
    return [float(value) for value in stops - stops[fitted].mean()]


def import_photos(data: Path, output: Path) -> tuple[Path, list[tuple[str, str, str, float]]]:
    """A .blend with mesh and photos of which every fourth is switched off; those as (camera, photo, mask, stops)."""
    imported, start = output / "imported.blend", output / "start.blend"
    command = [sys.executable, "-m", "likeness", "import-cameras", str(data / "transforms.json")]
    run([*command, "--mesh", str(data / "mesh.obj"), "--output", str(imported)])
    bpy.ops.wm.open_mainfile(filepath=str(imported))
    kept_out = []
    photos = list(photo_list.settings(bpy.context.scene).photos)
    for number, (item, stops) in enumerate(zip(photos, exif_stops(data), strict=True)):
        item.exposure = stops
        if number % 4 == 3:
            item.enabled = False
            paths = [photo_list.absolute_path(path) for path in (item.path, item.mask_path)]
            kept_out.append((item.camera.name, *paths, stops))
    for material in bpy.data.materials:
        for shader in (node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"):
            shader.inputs["Metallic"].default_value = METALLIC
            shader.inputs["Roughness"].default_value = ROUGHNESS
    bpy.ops.wm.save_as_mainfile(filepath=str(start))
    return start, kept_out


def judge(blend: Path, kept_out: list[tuple[str, str, str, float]]) -> list[tuple[str, float, float]]:
    """Per held-out photo: name, PSNR inside the mask, and the same with the render's colour matched to the photo
    (one gain a channel: what a wrong exposure or white balance costs).

    Writes photo and render beside each other into the folder of ``blend``.
    """
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    cycles.reference_settings(scene, SIZE, SIZE, RENDER_SAMPLES, direct_only=False)
    exposure = scene.view_settings.exposure
    rows, pictures = [], []
    for camera, photo_path, mask_path, stops in kept_out:
        scene.view_settings.exposure = exposure + stops
        path = blend.parent / f"held_out_{Path(photo_path).stem}.png"
        cycles.render_photo(scene, bpy.data.objects[camera], path)
        found, photo, mask = (_load(p) for p in (path, photo_path, mask_path))
        inside = mask[..., 0] >= 0.5
        gain = np.sum(photo[inside] * found[inside], axis=0) / np.sum(found[inside] ** 2, axis=0)
        rows.append((Path(photo_path).name, psnr(found, photo, inside), psnr(found * gain, photo, inside)))
        pictures.append(np.concatenate([photo, found, np.where(inside[..., None], np.abs(found - photo), 0.0)], axis=1))
    sheet = np.concatenate(pictures, axis=0)
    Image.fromarray((np.clip(sheet, 0, 1) * 255 + 0.5).astype(np.uint8)).save(blend.parent / "held_out.png")
    return rows


def _load(path: str | Path) -> np.ndarray:
    """An 8-bit picture [SIZE, SIZE, 3] in [0, 1], reduced by averaging."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX), np.float64) / 255.0


def measure(options: Sequence[str] = ()) -> list[Figure]:
    """Import, fit with more ``options`` for the command line if any, judge."""
    data = data_folder()
    if data is None:
        print("Gold cape: skipped. Its photos are not here; set LIKENESS_DATA to the folder that holds gold_cape.")
        return []
    output = OUTPUT / "gold_cape"
    output.mkdir(parents=True, exist_ok=True)
    start, kept_out = import_photos(data, output)
    fitted = output / "fitted.blend"
    command = [sys.executable, "-m", "likeness", "fit", str(start), "--output", str(fitted)]
    for target in TARGETS:
        command += ["--fit", target]
    done = run([*command, "--report", str(output / "report"), *options])
    rows = judge(fitted, kept_out)
    for name, plain, matched in rows:
        print(f"  {name}  {plain:5.1f} dB   colour matched {matched:5.1f} dB")
    return show(
        [
            at_least("gold cape, held-out photos inside the mask", float(np.mean([row[1] for row in rows])), 24, "dB"),
            note("gold cape, colour matched a photo", f"{np.mean([row[2] for row in rows]):.1f} dB"),
            note("gold cape, time and memory", f"{done.seconds / 60:.1f} min, {done.peak_gib:.2f} GiB"),
        ]
    )


if __name__ == "__main__":
    measure(sys.argv[1:])
