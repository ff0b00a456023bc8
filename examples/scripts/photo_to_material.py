# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to a material, with the operators that the buttons of the sidebar call.

::

    blender --background --python-exit-code 1 --python photo_to_material.py -- pot.blend Camera pot.jpg fitted.blend
    python photo_to_material.py pot.blend Camera pot.jpg fitted.blend             (with the bpy module)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy


def main() -> None:
    """Open the scene, add the photo, fit what was asked for, save the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help=".blend file; it is not changed")
    parser.add_argument("camera", help="camera that took the photo")
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path, help=".blend file to write")
    parser.add_argument("--material", help="fit this material alone")
    parser.add_argument("--fit", nargs="+", default=["base_color", "roughness"], help="what may change")
    parser.add_argument("--iterations", type=int, default=0)
    parser.add_argument("--resolution", type=int, default=512)
    parser.add_argument("--texture-size", type=int, default=1024)
    # Blender keeps what stands before "--" for itself
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])

    if not hasattr(bpy.types, "LIKENESS_OT_fit"):  # the bpy module, or Blender without the add-on
        import likeness

        likeness.register()
    bpy.ops.wm.open_mainfile(filepath=str(options.scene.absolute()))
    settings = bpy.context.scene.likeness
    bpy.ops.likeness.photo_add(filepath=str(options.photo.absolute()), camera=options.camera)
    for name in ("base_color", "roughness", "metallic", "normal", "emission", "lights", "world", "exposure"):
        setattr(settings.targets, name, name in options.fit)
    if options.material:
        settings.targets.material = bpy.data.materials[options.material]
    settings.iterations, settings.resolution = options.iterations, options.resolution
    settings.texture_size = options.texture_size

    # An operator that reports an error raises RuntimeError with its text.
    try:
        bpy.ops.likeness.fit()  # fits, and applies the result
    except RuntimeError as error:
        sys.exit(f"{options.scene}: {error}")
    for run in settings.runs:
        print(f"{run.name}: {run.psnr_before:.1f} dB before, {run.psnr_after:.1f} dB after, {run.seconds:.0f} s")
    bpy.ops.wm.save_as_mainfile(filepath=str(options.output.absolute()), copy=True)


if __name__ == "__main__":
    main()
