# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo to material in a few minutes: ``make demo``, or ``python -m examples.demo``.

A painted pot with metal bands stands on a table. Its geometry, its light and six photos of it (examples/photos) are
known; its material is plain grey. Likeness fits base colour, roughness and metallic maps to the photos, writes them
into a new .blend, and Cycles renders that file from a viewpoint that none of the photos has.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import bpy
import numpy as np
from PIL import Image

from tests.scenes import cycles, still_life

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = Path(__file__).resolve().parent / "photos"
HELD_OUT = still_life.HELD_OUT[0]
RENDER_SIZE, RENDER_SAMPLES = 320, 64


def main() -> None:
    """Build the scene, fit it, render what came out and print how far it is from the photo that was kept out."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "demo", help="folder for all results")
    parser.add_argument("--iterations", type=int, default=300, help="steps of the fit, 0: chosen by Likeness")
    parser.add_argument("--resolution", type=int, default=320, help="longest side of the photos in the fit, pixels")
    arguments = parser.parse_args()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()

    before_blend, after_blend = output / "before.blend", output / "after.blend"
    still_life.build_still_life(None)
    bpy.ops.wm.save_as_mainfile(filepath=str(before_blend))
    before = render(before_blend, output / "before.png")

    command = [sys.executable, "-m", "likeness", "fit", str(before_blend)]
    for name in still_life.CAMERAS:
        command += ["--photo", f"{name}={PHOTOS / name}.jpg"]
    for kind in ("base_color", "roughness", "metallic"):
        command += ["--fit", f"{kind}@{still_life.GLAZE}"]
    command += ["--output", str(after_blend), "--report", str(output / "report")]
    command += ["--resolution", str(arguments.resolution)]
    if arguments.iterations > 0:
        command += ["--iterations", str(arguments.iterations)]
    subprocess.run(command, check=True, cwd=ROOT)

    after = render(after_blend, output / "after.png")
    photo = Image.open(PHOTOS / f"{HELD_OUT}.jpg").resize((RENDER_SIZE, RENDER_SIZE), Image.Resampling.BOX)
    pictures = [photo, before, after]
    side_by_side = Image.new("RGB", (RENDER_SIZE * len(pictures), RENDER_SIZE))
    for number, picture in enumerate(pictures):
        side_by_side.paste(picture, (number * RENDER_SIZE, 0))
    side_by_side.save(output / "photo_before_after.png")
    print(f"""
Held-out photo against Cycles' render of the .blend, PSNR (more is better):
  before  {psnr(photo, before):5.1f} dB
  after   {psnr(photo, after):5.1f} dB
Photo, before and after:  {output / "photo_before_after.png"}
Fitted scene:             {after_blend}
Report:                   {output / "report"}
Done in {time.perf_counter() - start:.0f} s.""")


def render(blend: Path, path: Path) -> Image.Image:
    """Cycles' picture of a .blend from the camera that was kept out of the fit."""
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    scene = bpy.context.scene
    cycles.reference_settings(scene, RENDER_SIZE, RENDER_SIZE, RENDER_SAMPLES, direct_only=False)
    cycles.render_photo(scene, bpy.data.objects[HELD_OUT], path)
    return Image.open(path).convert("RGB")


def psnr(a: Image.Image, b: Image.Image) -> float:
    """Decibels between two 8-bit pictures."""
    difference = (np.asarray(a, np.float64) - np.asarray(b, np.float64)) / 255.0
    return float(-10.0 * np.log10(np.mean(difference**2) + 1e-12))


if __name__ == "__main__":
    main()
