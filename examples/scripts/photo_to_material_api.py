# SPDX-License-Identifier: GPL-3.0-or-later
"""One photo to a material, with the Python functions: no panel, no add-on, named errors.

::

    blender --background --python-exit-code 1 --python photo_to_material_api.py -- pot.blend Camera pot.jpg fitted.blend
    python photo_to_material_api.py pot.blend Camera pot.jpg fitted.blend         (with the bpy module)
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

try:
    import likeness
except ImportError:  # inside Blender the package bears the name of the repository that the extension came from
    from bl_ext.user_default import likeness


def main() -> int:
    """Fit, print how it goes, apply, save; returns the exit code of docs/conventions.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path, help=".blend file; it is not changed")
    parser.add_argument("camera", help="camera that took the photo")
    parser.add_argument("photo", type=Path)
    parser.add_argument("output", type=Path, help=".blend file to write")
    parser.add_argument("--fit", nargs="+", default=["base_color", "roughness"], help="base_color@Gold, lights, …")
    parser.add_argument("--report", type=Path, help="folder for the report")
    parser.add_argument("--iterations", type=int)
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--texture-size", type=int)
    options = parser.parse_args(sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:])

    try:
        fit = likeness.fit(
            options.scene,
            photos={options.camera: options.photo},
            fit=options.fit,
            iterations=options.iterations,
            resolution=options.resolution,
            texture_size=options.texture_size,
            on_progress=lambda step: print(f"{step.stage}: {step.iteration} of {step.iterations}", end="\r"),
        )
        fit.apply()
        fit.save(options.output)
        if options.report:
            print(f"Report: {fit.report(options.report)}")
    except likeness.LikenessError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for photo in fit.result.photos:
        print(f"{photo.name}: {photo.psnr_before:.1f} dB before, {photo.psnr_after:.1f} dB after")
    for line in [*fit.result.warnings, *fit.written]:
        print(f"Note: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
