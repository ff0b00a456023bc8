# SPDX-License-Identifier: GPL-3.0-or-later
"""Light a scene as in a folder of photos of it. A photo belongs to the camera that has its name.

::

    blender --background --python-exit-code 1 --python match_light.py -- set.blend photos/ lit.blend
    python match_light.py set.blend photos/ lit.blend                             (with the bpy module)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

try:
    import likeness
except ImportError:  # inside Blender the package bears the name of the repository that the extension came from
    from bl_ext.user_default import likeness

_SUFFIXES = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".exr", ".hdr"}


def main() -> int:
    """Fit lights, world and the exposure of each photo; materials stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help=".blend file; it is not changed")
    parser.add_argument("photos", type=Path, help="folder; CAMERA.jpg belongs to the camera of that name")
    parser.add_argument("output", type=Path, help=".blend file to write")
    parser.add_argument("--no-world", action="store_true", help="keep the world and fit lights alone")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--resolution", type=int)
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])

    bpy.ops.wm.open_mainfile(filepath=str(options.scene.absolute()))
    scene = bpy.context.scene
    cameras = {obj.name for obj in scene.objects if obj.type == "CAMERA"}
    files = sorted(file for file in options.photos.iterdir() if file.suffix.lower() in _SUFFIXES)
    photos = {file.stem: file for file in files if file.stem in cameras}
    for file in files:
        if file.stem not in cameras:
            print(f'Left out {file.name}: there is no camera "{file.stem}"', file=sys.stderr)
    if not photos:
        print(f'No photo in "{options.photos}" is named like a camera of {options.scene}', file=sys.stderr)
        return 3

    try:
        fit = likeness.fit(
            scene,
            photos,
            ["lights", "exposure"] + ([] if options.no_world else ["world"]),
            iterations=options.iterations,
            resolution=options.resolution,
        )
        fit.apply()
        fit.save(options.output)
    except likeness.LikenessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for light in fit.result.lights:
        color = ", ".join(f"{part:.3f}" for part in light.color)
        print(f"{light.data_name}: {light.energy:.4g} W, color {color}")
    for photo in fit.result.photos:
        print(f"{photo.name}: {photo.exposure:+.2f} stops, {photo.psnr_before:.1f} → {photo.psnr_after:.1f} dB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
